"""Every grammar finds the definitions of a small program: a grammar whose node names changed fails here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemolite.ingest.chunk import chunk
from mnemolite.ingest.languages import LANGUAGES, language_of, query_of
from mnemolite.ingest.lines import Lines
from mnemolite.ingest.outline import docstring_of, outline, signature_of

# language -> a program, and its definitions as "kind parent.name; ..."
PROGRAMS = {
    "bash": (
        """\
# greets
greet() {
  echo hi
}
function bye { echo bye; }
X=1
readonly Y=2
alias ll='ls -l'
""",
        """function greet; function bye; constant X; constant Y""",
    ),
    "c": (
        """\
#define MAX(a,b) ((a)>(b)?(a):(b))
#define LIMIT 5
/* a point */
struct point { int x; int y; };
typedef struct { int a; } pair_t;
typedef int (*callback)(int);
enum color { RED, GREEN };
union u { int a; };
static const int table[] = {1,2};
int add(int a, int b)
{
  return a + b;
}
char **names(void) { return 0; }
int (*pick(int k))(int) { return 0; }
int proto(int a);
""",
        """macro MAX; macro LIMIT; struct point; type pair_t; type callback; enum color; struct u; constant
table; function add; function names; function pick""",
    ),
    "cpp": (
        """\
namespace a::b {
template <typename T>
class Box : public Base {
 public:
  Box(int x) : x_(x) {}
  ~Box() {}
  T get() const { return x_; }
  bool operator==(const Box& o) const { return true; }
 private:
  int x_;
};
void Box::set(int v) { x_ = v; }
using Alias = int;
enum class Color { RED };
concept_t x;
template <typename T> concept Eq = true;
}
""",
        """module a::b; class a::b.Box; method a::b.Box.Box; method a::b.Box.~Box; method a::b.Box.get; method
a::b.Box.operator==; method a::b.Box.set; type a::b.Alias; enum a::b.Color; type a::b.Eq""",
    ),
    "csharp": (
        """\
namespace A.B;
using System;
/// <summary>Doc</summary>
[Attr]
public class Foo : IBar {
  private int x;
  public Foo(int x) { this.x = x; }
  public int X { get; set; }
  public int Get() => x;
  public static Foo operator +(Foo a, Foo b) => a;
  public int this[int i] => i;
  public event EventHandler E;
  enum C { A }
}
public interface IBar { void F(); }
public record R(int A);
public struct S { }
public delegate void D(int x);
namespace Z { class Q {} }
""",
        """class Foo; method Foo.Foo; constant Foo.X; method Foo.Get; method Foo.operator +; method Foo.this[];
enum Foo.C; interface IBar; method IBar.F; class R; struct S; type D; module Z; class Z.Q""",
    ),
    "cmake": (
        """\
cmake_minimum_required(VERSION 3.0)
# fn
function(add_thing name)
  message(hi)
endfunction()
macro(my_macro)
endmacro()
add_library(foo STATIC a.c)
set(X 1)
""",
        """function add_thing; macro my_macro""",
    ),
    "css": (
        """\
@import "a.css";
/* btn */
.btn, a:hover { color: red; }
@media screen { .x { color: blue; } }
@keyframes spin { from {a:b} }
:root { --x: 1; }
""",
        """type .btn, a:hover; module screen; type screen..x; function spin; type :root""",
    ),
    "dart": (
        """\
import 'a.dart';
/// Doc
class Foo extends Bar {
  final int x;
  Foo(this.x);
  Foo.named(this.x);
  int get y => x;
  set z(int v) { }
  int add(int a) {
    return a;
  }
  static void s() {}
}
mixin M {}
enum E { a, b }
extension Ext on Foo { void q() {} }
typedef F = int Function(int);
int top(int a) {
  return a;
}
const c = 1;
""",
        """class Foo; method Foo.Foo; method Foo.Foo; method Foo.y; method Foo.z; method Foo.add; method Foo.s;
class M; enum E; class Ext; method Ext.q; type F; function top; constant c""",
    ),
    "elixir": (
        '''\
defmodule A.B do
  @moduledoc "x"
  use Foo
  @doc """
  Adds.
  """
  @spec add(integer, integer) :: integer
  def add(a, b) do
    a + b
  end
  def one(a) when a > 1, do: a
  defp zero, do: 0
  defmacro m(x) do
    x
  end
  defstruct [:a]
end
defprotocol P do
  def q(x)
end
defimpl P, for: Integer do
  def q(x), do: x
end
test "adds things" do
  assert 1
end
''',
        """module A.B; function A.B.add; function A.B.one; function A.B.zero; macro A.B.m; interface P; method
P.q; module P.Integer; function P.Integer.q; function adds things""",
    ),
    "go": (
        """\
package main
import "fmt"
// Foo doc
type Foo struct { x int }
type I interface { Do() }
type (
  A int
  B = string
)
const Max = 5
var V = map[string]int{}
func Add(a int) int {
  return a
}
func (f *Foo) Get() int { return f.x }
func (l List[T]) Len() int { return 0 }
""",
        """struct Foo; interface I; type A; constant Max; constant V; function Add; method Foo.Get; method
List.Len""",
    ),
    "graphql": (
        '''\
"""Doc"""
type User implements Node { id: ID! }
input I { a: Int }
enum E { A }
interface Node { id: ID! }
union U = User
scalar Date
query Q($a: Int) { user { id } }
fragment F on User { id }
directive @d on FIELD
extend type User { b: Int }
schema { query: User }
''',
        """type User; type I; enum E; interface Node; type U; type Date; function Q; function F; type d; type
User""",
    ),
    "groovy": (
        """\
class Foo extends Bar {
  int x
  def get(a) { return a }
  String name() { 'x' }
  Foo(int y) { }
}
def top(a) {
  a
}
task hello { doLast { println 'x' } }
interface I { void f() }
enum E { A }
""",
        """class Foo; method Foo.get; method Foo.name; method Foo.Foo; function top; interface I; method I.f;
enum E""",
    ),
    "haskell": (
        """\
module A.B where
import Data.List
-- | adds
add :: Int -> Int -> Int
add 0 b = b
add a b = a + b
data T = A | B deriving (Show)
newtype N = N Int
type S = String
class C a where
  op :: a -> a
instance C Int where
  op x = x
x = 5
""",
        """function add; function add; struct T; struct N; type S; interface C; method C.op; class C Int;
method C Int.op; function x""",
    ),
    "hcl": (
        """\
variable "x" {
  default = 1
}
resource "aws_instance" "web" {
  ami = "a"
  nested { a = 1 }
}
locals { a = 1 }
y = 2
""",
        """struct x; struct aws_instance.web; struct locals; constant y""",
    ),
    "java": (
        """\
package a.b;
import java.util.List;
/** Doc */
@Anno
public class Foo<T> extends Bar {
  private static final int X = 1;
  public Foo(int x) { }
  @Override
  public int get() { return 1; }
  enum E { A; void f() {} }
  static class In { }
}
interface I { void f(); }
record R(int a) { }
@interface An { }
""",
        """class Foo; method Foo.Foo; method Foo.get; enum Foo.E; method Foo.E.f; class Foo.In; interface I;
method I.f; class R; interface An""",
    ),
    "javascript": (
        """\
import a from 'a';
/** doc */
export function foo(a) { return a; }
const bar = (x) => x;
const obj = { m() { return 1; }, k: function () {}, z: () => 1 };
var old = function () {};
module.exports.baz = function (a) {};
Foo.prototype.qux = () => {};
class A extends B {
  #x = 1;
  static y = () => 2;
  constructor() {}
  get z() { return 1; }
}
export default class extends B { q() {} }
export const C = 5;
function* gen() {}
describe('thing', () => { it('works', async () => { x(); }); });
let K = class { };
""",
        """function foo; function bar; constant obj; function obj.m; function obj.k; function obj.z; function
old; function module.exports.baz; method Foo.qux; class A; method A.y; method A.constructor; method
A.z; class default; method default.q; constant C; function gen; function thing; function
thing.works; class K""",
    ),
    "json": (
        """\
{"a": 1, "b": {"c": [1,2]}, "d": null}
""",
        """section a; section b; section d""",
    ),
    "julia": (
        '''\
module M
using X
"""
doc
"""
function foo(a::Int)
  a
end
bar(x) = x + 1
struct P{T}
  x::T
end
mutable struct Q <: R
 y
end
abstract type Ab end
macro mm(x) x end
const C = 1
function Base.show(io::IO, p::P) end
foo(x::T) where T = x
end
''',
        """module M; function M.foo; function M.bar; struct M.P; struct M.Q; interface M.Ab; macro M.mm;
constant M.C; function M.Base.show; function M.foo""",
    ),
    "kotlin": (
        """\
package a.b
@Anno
class Foo(val x: Int) : Bar() {
  val y = 1
  fun get(): Int { return x }
  companion object {
    const val Z = 1
    fun q() = 1
  }
  constructor(a: String) : this(1)
}
interface I { fun f() }
object O { }
enum class E { A, B }
fun String.ext(a: Int): Int = a
typealias T = Int
val top = 5
""",
        """class Foo; method Foo.get; class Foo.Companion; method Foo.Companion.q; method Foo.constructor;
interface I; method I.f; class O; enum E; function ext; type T; constant top""",
    ),
    "lua": (
        """\
-- doc
local function foo(a) return a end
function M.bar(a) end
function M:baz() end
local x = function() end
M.y = function(a) end
local t = { z = function() end }
local c = 5
return M
""",
        """function foo; function M.bar; function M.baz; function x; function M.y; constant t; function t.z;
constant c""",
    ),
    "make": (
        """\
CC = gcc
# build
all: foo.o bar.o
	$(CC) -o x
.PHONY: clean
clean:
	rm x
define FOO
x
endef
""",
        """constant CC; function all; function .PHONY; function clean; macro FOO""",
    ),
    "nix": (
        """\
{
  services.foo = { enable = true; };
  y = 2;
}
""",
        """constant services.foo; constant y""",
    ),
    "objc": (
        """\
#import <A.h>
#define X 1
@interface Foo : NSObject <P>
@property int x;
- (int)add:(int)a to:(int)b;
@end
@implementation Foo
- (int)add:(int)a to:(int)b { return a; }
+ (void)cls { }
@end
@protocol P
- (void)q;
@end
int cfun(int a) { return a; }
@interface Foo (Cat)
@end
""",
        """macro X; interface Foo; class Foo; method Foo.add:to:; method Foo.cls; interface P; method P.q;
function cfun; interface Foo""",
    ),
    "ocaml": (
        """\
open A
(** doc *)
let add a b = a + b
let x = 5
let rec f x = g x
and g y = y
type t = A | B
module M = struct
  let z a = a
end
module type S = sig val q : int end
class c = object method m = 1 end
exception E of int
let () = main ()
external e : int -> int = "x"
""",
        """function add; constant x; function f; type t; module M; function M.z; interface S; class c; method
c.m; type E; function e""",
    ),
    "ocaml-interface": (
        """\
val add : int -> int
(** after *)
type t = A
module M : sig val q : int end
""",
        """function add; type t; module M; function M.q""",
    ),
    "perl": (
        """\
package Foo::Bar;
use strict;
# doc
sub new { my $x = shift; return $x; }
sub get {
  1;
}
package Z { sub q {} }
1;
""",
        """function new; function get; module Z; function Z.q""",
    ),
    "php": (
        """\
<?php
namespace A\\B;
use X\\Y;
/** Doc */
#[Attr]
class Foo extends Bar {
  const C = 1;
  private $x;
  public function get(int $a): int { return $a; }
}
interface I { function f(); }
trait T { function g() {} }
enum E: string { case A = 'a'; }
function top($a) { return $a; }
const K = 1;
$f = function () {};
""",
        """class Foo; method Foo.get; interface I; method I.f; class T; method T.g; enum E; function top;
constant K; function $f""",
    ),
    "powershell": (
        """\
# doc
function Get-Thing {
  param([int]$A)
  1
}
filter Foo { $_ }
class Bar : Base {
  [int]$X
  Bar([int]$x) { }
  [int] Get() { return 1 }
}
enum E { A }
""",
        """function Get-Thing; function Foo; class Bar; method Bar.Bar; method Bar.Get; enum E""",
    ),
    "python": (
        """\
import a
X = 1
@dec
class A(B):
    '''doc'''
    y = 1
    @property
    def z(self):
        'd'
        return 1
    async def w(self): pass
def f(a):
    def g(): pass
    return g
type T = int
L = lambda x: x
""",
        """constant X; class A; method A.z; method A.w; function f; function f.g; type T; constant L""",
    ),
    "ruby": (
        """\
require 'x'
# doc
module A
  class B < C
    attr_reader :x
    X = 1
    def initialize(x)
      @x = x
    end
    def self.make; end
    class << self
      def k; end
    end
    scope :a, -> { x }
  end
end
describe 'thing' do
  it 'works' do
  end
end
class A::Z; end
def top = 1
""",
        """module A; class A.B; constant A.B.X; method A.B.initialize; method A.B.make; method A.B.k; function
thing; function thing.works; class A.Z; function top""",
    ),
    "rust": (
        """\
use a::b;
/// Doc
#[derive(Debug)]
pub struct Foo<T> { x: T }
impl<T> Foo<T> {
  /// new
  #[inline]
  pub fn new() -> Self { }
}
impl fmt::Display for Foo<i32> { fn fmt(&self) {} }
trait Tr { fn a(&self); fn b() {} }
enum E { A }
mod m { fn q() {} }
mod ext;
type T = i32;
const C: i32 = 1;
static S: i32 = 1;
macro_rules! mac { () => {} }
fn top<'a>(x: &'a str) -> i32 { 1 }
union U { a: i32 }
""",
        """struct Foo; class Foo; method Foo.new; class Foo; method Foo.fmt; interface Tr; method Tr.a; method
Tr.b; enum E; module m; function m.q; type T; constant C; constant S; macro mac; function top;
struct U""",
    ),
    "scala": (
        """\
package a.b
import x.y
/** Doc */
case class Foo(x: Int) extends Bar {
  val y = 1
  def get: Int = x
  def add(a: Int): Int = { a }
}
object O { def q = 1 }
trait T { def r: Int }
enum E { case A, B }
type S = Int
given ord: Ordering[Int] = ???
def top(a: Int) =
  a
extension (x: Int) def inc = x + 1
""",
        """class Foo; method Foo.get; method Foo.add; class O; method O.q; interface T; method T.r; enum E;
type S; constant ord; function top; function inc""",
    ),
    "sql": (
        """\
-- users
CREATE TABLE users (id int primary key, name text);
CREATE OR REPLACE FUNCTION add(a int, b int) RETURNS int AS $$ select 1; $$ LANGUAGE sql;
CREATE INDEX idx ON users (name);
CREATE VIEW v AS SELECT * FROM users;
CREATE TRIGGER trg BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();
CREATE TYPE mood AS ENUM ('a');
ALTER TABLE users ADD COLUMN x int;
SELECT 1;
""",
        """struct users; function add; constant idx; struct v; function trg; type mood""",
    ),
    "swift": (
        """\
import A
/// Doc
@objc public class Foo: Bar {
  let x = 1
  init(a: Int) { }
  deinit { }
  func get(a: Int) -> Int { return a }
  var y: Int { return 1 }
  subscript(i: Int) -> Int { return i }
}
struct S { }
protocol P { func q() }
enum E { case a }
extension Foo { func z() {} }
func top() {}
typealias T = Int
actor Ac { }
let c = 1
""",
        """class Foo; method Foo.init; method Foo.deinit; method Foo.get; method Foo.y; method Foo.subscript;
struct S; interface P; method P.q; enum E; class Foo; method Foo.z; function top; type T; class Ac;
constant c""",
    ),
    "toml": (
        """\
title = "x"
[package]
name = "a"
[[bin]]
name = "b"
[a.b]
c = 1
""",
        """section title; section package; section bin; section a.b""",
    ),
    "typescript": (
        """\
import a from 'a';
export interface I { a: number; f(): void; }
export type T = string | number;
export enum E { A }
export abstract class A<T> extends B implements I {
  private x = 1;
  constructor(private y: number) {}
  @Dec() get(a: number): number { return a; }
  abstract q(): void;
  arrow = () => 1;
}
declare module 'x' { function q(): void; }
namespace N { export function z() {} }
export const f = async <T>(a: T): Promise<T> => a;
function over(a: string): void;
function over(a: any) {}
declare function amb(a: string): void;
@Component({}) export class Dd {}
export default function () {}
export const cfg = { a: 1 };
""",
        """interface I; type T; enum E; class A; method A.constructor; method A.get; method A.q; method
A.arrow; module x; function x.q; module N; function N.z; function f; function over; function over;
function amb; class Dd; function default; constant cfg""",
    ),
    "tsx": (
        """\
export const C: React.FC = () => <div/>;
const M = memo(() => <a/>);
function X() { return <b/>; }
""",
        """function C; function M; function X""",
    ),
    "yaml": (
        """\
# doc
a: 1
b:
  c: 2
  d: [1]
"quoted": x
---
e: 1
""",
        """section a; section b; section quoted; section e""",
    ),
    "zig": (
        """\
const std = @import("std");
/// Doc
pub fn add(a: i32) i32 {
  return a;
}
const Foo = struct {
  x: i32,
  pub fn get(self: Foo) i32 { return self.x; }
};
const E = enum { a };
test "adds" { }
pub const c = 5;
fn Gen(comptime T: type) type { return struct { y: T }; }
""",
        """constant std; function add; struct Foo; method Foo.get; enum E; function adds; constant c; function
Gen""",
    ),
    "svelte": (
        """\
<script lang="ts">
  let x = 1;
  function f() {
    return x;
  }
</script>
<h1>{x}</h1>
<style>h1 { color: red; }</style>
""",
        """constant x; function f""",
    ),
    "vue": (
        """\
<template>
  <p>function no() {}</p>
</template>
<script>
export default {
  methods: { save() { return 1; } },
};
</script>
""",
        """function save""",
    ),
    "astro": (
        """\
---
const title = "x";
function f() {}
---
<h1>{title}</h1>
""",
        """constant title; function f""",
    ),
}


def outlined(text: str, language: str) -> list[str]:
    return [
        f"{definition.kind} {'.'.join((*definition.parents, definition.name))}"
        for definition in outline(Lines(text), language)
    ]


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_definitions_of_a_program_are_found(language: str) -> None:
    text, expected = PROGRAMS[language]
    assert outlined(text, language) == " ".join(expected.split()).split("; ")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(PROGRAMS)), st.data())
def test_a_program_damaged_anywhere_is_its_chunks(language: str, data: st.DataObject) -> None:
    text, _ = PROGRAMS[language]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 40)))
        text = (
            text[:start]
            + data.draw(st.sampled_from(["", "{", "}", "(", '"', "\n", "\r", "é", "\t", text]))
            + text[stop:]
        )
    chunks = chunk(text, source="s", path="p", language=language, max_chars=80, min_chars=30)
    assert "".join(each.text for each in chunks) == (text if text.strip() else "")


def test_every_language_with_a_grammar_has_a_program_here() -> None:
    assert set(PROGRAMS) == {language.name for language in LANGUAGES.values() if language.grammar}


@pytest.mark.parametrize("language", [language.name for language in LANGUAGES.values() if language.grammar])
def test_every_query_fits_its_grammar(language: str) -> None:
    assert query_of(language) is not None


def test_at_least_thirty_languages_have_a_grammar_of_their_own() -> None:
    assert len({language.grammar for language in LANGUAGES.values() if language.grammar}) >= 30


@pytest.mark.parametrize(
    ("language", "text", "docstring"),
    [
        ("python", 'def f():\n    """\n    First.\n\n    Second.\n    """\n', "First.\n\nSecond."),
        ("python", "def f():\n    r'x'\n", "x"),
        ("rust", "/// First.\n/// Second.\n#[inline]\nfn f() {}\n", "First.\nSecond."),
        ("java", "class A {\n  /**\n   * First.\n   * Second.\n   */\n  void f() {}\n}\n", "First.\nSecond."),
        ("go", "// F does.\nfunc F() {}\n", "F does."),
        ("go", "// not this\n\nfunc F() {}\n", ""),
        ("c", "int x; /* not this */\nint f(void) { return 0; }\n", ""),
        ("csharp", "class A {\n  /// <summary>Does.</summary>\n  void F() {}\n}\n", "Does."),
        ("haskell", "-- | Adds.\nadd :: Int -> Int\nadd x = x\n", "Adds."),
        ("ocaml", "(** Adds. *)\nlet add x = x\n", "Adds."),
        ("lua", "--- Adds.\n-- More.\nfunction add() end\n", "Adds.\nMore."),
        ("ruby", "# Adds.\ndef add; end\n", "Adds."),
        ("elixir", 'defmodule A do\n  @doc "Adds."\n  @spec f() :: :ok\n  def f, do: :ok\nend\n', "Adds."),
        ("julia", '"""\nAdds.\n"""\nfunction add() end\n', "Adds."),
        ("graphql", '"""Adds."""\ntype T { a: Int }\n', "Adds."),
    ],
)
def test_documentation_is_found_without_its_markers(language: str, text: str, docstring: str) -> None:
    lines = Lines(text)
    assert docstring_of(outline(lines, language)[-1], lines) == docstring


@pytest.mark.parametrize(
    ("language", "text", "signature"),
    [
        ("python", "@cache\ndef f(\n    a: str = '{',\n) -> int:\n    return 1\n", "def f( a: str = '{', ) -> int"),
        ("c", "static int\nf(int a)\n{\n  return a;\n}\n", "static int f(int a)"),
        ("kotlin", "@Anno\nfun f(\n  a: Int\n): Int {\n  return a\n}\n", "fun f( a: Int ): Int"),
        ("elixir", "defmodule A do\n  def f(a) do\n    a\n  end\nend\n", "def f(a)"),
        ("rust", "pub fn f<T>(t: T) -> U where T: Copy { t.into() }\n", "pub fn f<T>(t: T) -> U where T: Copy"),
        ("ruby", "def f(a, b = {})\n  a\nend\n", "def f(a, b = {})"),
    ],
)
def test_a_signature_ends_where_the_body_begins(language: str, text: str, signature: str) -> None:
    assert signature_of(outline(Lines(text), language)[-1]) == signature


@pytest.mark.parametrize(
    "text",
    [  # files for which an earlier indexer stored nothing
        r"export function valid(s: string) { return /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(s) && /[/\"'\x60\\]/.test(s) }",
        r"export function valid(s: string) { return /^[^\\s@]+@[^\\s@]+\\.[^\\s@]+$/.test(s) }",
        "export function valid(s: string) {\n  return /^[^\n@]+$/.test(s)\n}\nclass A { m() { return a / b } }\n",
    ],
    ids=["plain", "escaped twice", "broken by a newline"],
)
@pytest.mark.parametrize("language", ["typescript", "tsx", "javascript"])
def test_regular_expressions_hide_no_function(language: str, text: str) -> None:
    if language == "javascript":
        text = text.replace(": string", "")
    assert "function valid" in outlined(text, language)


@pytest.mark.parametrize(
    ("path", "head", "language"),
    [
        ("src/a.py", b"", "python"),
        ("A.PY", b"", "python"),
        ("types.d.ts", b"", "typescript"),
        ("a.tsx", b"", "tsx"),
        ("Makefile", b"", "make"),
        ("deep/CMakeLists.txt", b"", "cmake"),
        ("Dockerfile.dev", b"", "dockerfile"),
        (".bashrc", b"", "bash"),
        (".gitignore", b"", "text"),
        ("run", b"#!/usr/bin/env python3.12\n", "python"),
        ("run", b"#!/usr/bin/env -S node --harmony\n", "javascript"),
        ("run", b"#! /bin/sh -e\n", "bash"),
        ("run", b"#!\xff", "text"),
        ("list.h", b"#include <stdio.h>\nstruct a { int x; };\n", "c"),
        ("list.h", b"namespace a {\n", "cpp"),
        ("View.h", b"@interface View : NSObject\n", "objc"),
        ("a.unknown", b"", "text"),
        ("README", b"", "text"),
        ("a.md", b"", "markdown"),
        ("a.r", b"", "r"),
        ("a.vue", b"", "vue"),
        ("", b"", "text"),
        (".", b"", "text"),
        ("a.", b"", "text"),
    ],
)
def test_a_language_is_known_by_name_or_first_line(path: str, head: bytes, language: str) -> None:
    assert language_of(path, head) == language
