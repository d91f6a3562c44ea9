"""The name of a definition, in grammars that agree on little."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_NAME = 200  # characters; a longer one is a selector list or a test's title
MAX_NAME_DEPTH = 12  # a C declarator such as (*(*f)(int))[3] needs 6
MAX_CHILDREN = 10  # looked at for a name

_NAME_TYPES = frozenset(
    """identifier type_identifier field_identifier property_identifier simple_identifier name word constant
    variable class_name module_name module_type_name value_name constructor_name type_constructor object_reference
    function_name simple_name bare_key dotted_key quoted_key string string_scalar plain_scalar double_quote_scalar
    single_quote_scalar string_literal alias keyframes_name selectors targets attrpath variable_name
    qualified_identifier operator_name destructor_name scoped_identifier fragment_name operator_cast
    member_expression dot_index_expression method_index_expression parenthesized_operator call package
    field_expression keyword_query method_name""".split()
)
_NAME_FIELDS = ("name", "declarator", "pattern", "left", "key", "function", "property", "type", "attrpath", "column")
_PASS_THROUGH = frozenset(
    """variable_declarator assignment_expression assignment_statement assignment variable_list function_command
    macro_command argument_list parenthesized_declarator expression_statement function_signature getter_signature
    setter_signature constructor_signature factory_constructor_signature operator_signature signature type_head
    variable_declaration class_binding module_binding type_binding let_binding const_element static_final_declaration
    static_final_declaration_list initialized_identifier_list initialized_identifier typed_expression
    parametrized_type_expression binary_expression call_expression where_expression value_definition
    constructor_declaration flow_node block_node lexical_declaration const_spec var_spec type_spec type_alias
    declaration arguments argument field_declaration pointer_declarator declaration_list unary_typed_expression
    variable_declaration_list variable_assignment type""".split()
)


def plain_name(node: Node) -> str:
    """Follows the fields and nodes that lead to names in most grammars."""
    for _ in range(MAX_NAME_DEPTH):
        if (named := node.child_by_field_name("name")) is not None:
            return _text(named)
        following = _first_field(node) or _first_child(node)
        if following is None:
            return ""
        if following.type in _NAME_TYPES:
            inner = following.child_by_field_name("name") if following.type == "object_reference" else None
            return _text(inner or following).strip("\"'`")
        node = following
    return ""


def _first_field(node: Node) -> Node | None:
    for field in _NAME_FIELDS:
        child = node.child_by_field_name(field)
        if child is not None and (child.type in _NAME_TYPES or child.type in _PASS_THROUGH or field == "declarator"):
            return child
    return None


def _first_child(node: Node) -> Node | None:
    for i in range(min(node.named_child_count, MAX_CHILDREN)):
        child = node.named_child(i)
        if child is not None and (child.type in _NAME_TYPES or child.type in _PASS_THROUGH):
            return child
    return None


def _text(node: Node) -> str:
    return (node.text or b"")[: 4 * MAX_NAME].decode("utf-8", "replace")


def _child(node: Node, type: str) -> Node | None:
    return next((child for child in node.named_children if child.type == type), None)


def nth(node: Node, i: int) -> Node | None:
    """The named child at *i*, if there are as many."""
    return node.named_child(i) if i < node.named_child_count else None


def _field(node: Node, *fields: str) -> Node | None:
    for field in fields:
        inner = node.child_by_field_name(field)
        if inner is None:
            return None
        node = inner
    return node


# Where the shape of a grammar hides the name


def elixir_name(node: Node) -> str:
    arguments = _child(node, "arguments")
    first = nth(arguments, 0) if arguments is not None else None
    if first is None:
        return ""
    if first.type == "binary_operator":  # def f(x) when x > 0
        first = first.child_by_field_name("left") or first
    if first.type == "call":
        first = first.child_by_field_name("target") or first
    name = _text(first).strip('"')
    target = nth(arguments, 1) if arguments is not None else None
    macro = node.child_by_field_name("target")
    if target is not None and macro is not None and macro.text == b"defimpl":
        name = f"{name}.{_text(target).removeprefix('for:').strip()}"
    return name


def go_name(node: Node) -> str:
    name = plain_name(node)
    receiver = node.child_by_field_name("receiver")
    if receiver is None or not (words := re.findall(r"\w+", _text(receiver).split("[")[0])):
        return name
    return f"{words[-1]}.{name}"


def rust_name(node: Node) -> str:
    if node.type == "impl_item":
        type = node.child_by_field_name("type")
        return _text(type).split("<")[0] if type is not None else ""
    return plain_name(node)


def hcl_name(node: Node) -> str:
    words = [_text(child).strip('"') for child in node.named_children if child.type in ("identifier", "string_lit")]
    return ".".join(words[1:] or words)


def objc_name(node: Node) -> str:
    if node.type not in ("method_definition", "method_declaration"):
        return plain_name(node)
    parts = [_text(child) for child in node.named_children if child.type == "identifier"]
    return ":".join(parts) + (":" if _child(node, "method_parameter") is not None else "")


def javascript_name(node: Node) -> str:
    if node.type == "expression_statement":
        call = nth(node, 0)
        if call is not None and call.type == "call_expression":  # describe("title", () => ...)
            title = _field(call, "arguments")
            return _text(first).strip("\"'`") if title is not None and (first := nth(title, 0)) else ""
    if node.type == "export_statement":
        return "default"
    return plain_name(node)


def ruby_name(node: Node) -> str:
    if node.type == "call":
        title = node.child_by_field_name("arguments")
        return _text(first).strip("\"'") if title is not None and (first := nth(title, 0)) else ""
    return plain_name(node)


def csharp_name(node: Node) -> str:
    if node.type == "indexer_declaration":
        return "this[]"
    if node.type == "operator_declaration" and (operator := node.child_by_field_name("operator")) is not None:
        return f"operator {_text(operator)}"
    return plain_name(node)


def kotlin_name(node: Node) -> str:
    return plain_name(node) or ("Companion" if node.type == "companion_object" else "constructor")


def swift_name(node: Node) -> str:
    fixed = {"init_declaration": "init", "deinit_declaration": "deinit", "subscript_declaration": "subscript"}
    if node.type == "property_declaration":
        pattern = node.child_by_field_name("name")
        return _text(pattern) if pattern is not None else ""
    return fixed.get(node.type) or plain_name(node)


def graphql_name(node: Node) -> str:
    return next((_text(child) for child in node.named_children if child.type.endswith("name")), "")


def toml_name(node: Node) -> str:
    key = nth(node, 0)
    return _text(key).strip("\"'") if key is not None else ""


def yaml_name(node: Node) -> str:
    key = node.child_by_field_name("key")
    return _text(key).strip("\"'") if key is not None else ""


def powershell_name(node: Node) -> str:
    for child in node.named_children:
        if child.type in ("function_name", "simple_name"):
            return _text(child)
    return ""


def zig_name(node: Node) -> str:
    if node.type == "test_declaration":
        first = nth(node, 0)
        return _text(first).strip('"') if first is not None and first.type != "block" else "test"
    return plain_name(node)


def haskell_name(node: Node) -> str:
    name = plain_name(node)
    if node.type == "instance" and (patterns := node.child_by_field_name("patterns")) is not None:
        return f"{name} {_text(patterns)}"
    return name


def make_name(node: Node) -> str:
    targets = _child(node, "targets")
    return _text(targets) if targets is not None else plain_name(node)


def dart_name(node: Node) -> str:
    signature = nth(node, 0) if node.type == "method_signature" else node
    if signature is not None and signature.type in ("constructor_signature", "factory_constructor_signature"):
        return _text(signature).split("(")[0].split()[-1]
    return plain_name(node)


def cmake_name(node: Node) -> str:
    words = re.findall(r"[\w.:${}-]+", _text(node))
    return words[1] if len(words) > 1 else ""


def css_name(node: Node) -> str:
    block = next((child for child in node.named_children if child.type.endswith(("block", "block_list"))), None)
    before = [_text(child) for child in node.named_children if block is None or child.start_byte < block.start_byte]
    return " ".join(before)
