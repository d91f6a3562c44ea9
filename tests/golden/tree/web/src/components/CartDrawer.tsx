import { useEffect, useReducer } from "react";
import { formatMoney } from "../lib/money";
import { cartReducer, loadCart, persistCart, selectTotal } from "../store/cart";

interface CartDrawerProps {
  open: boolean;
  onClose(): void;
  onCheckout(): void;
}

export function CartDrawer({ open, onClose, onCheckout }: CartDrawerProps) {
  const [cart, dispatch] = useReducer(cartReducer, undefined, () => loadCart());

  useEffect(() => persistCart(cart), [cart]);
  useCloseOnEscape(open, onClose);

  return (
    <aside className={open ? "drawer drawer--open" : "drawer"} aria-hidden={!open}>
      <h2>Your basket</h2>
      <ul>
        {cart.lines.map((line) => (
          <li key={line.sku}>
            <span>{line.title}</span>
            <input
              type="number"
              min={0}
              value={line.quantity}
              onChange={(event) =>
                dispatch({ type: "quantityChanged", sku: line.sku, quantity: Number(event.target.value) })
              }
            />
            <span>{formatMoney(line.priceCents * line.quantity, "EUR")}</span>
          </li>
        ))}
      </ul>
      <footer>
        <strong>{formatMoney(selectTotal(cart), "EUR")}</strong>
        <button disabled={cart.lines.length === 0} onClick={onCheckout}>
          Check out
        </button>
      </footer>
    </aside>
  );
}

function useCloseOnEscape(active: boolean, close: () => void): void {
  useEffect(() => {
    if (!active) return undefined;
    const listener = (event: KeyboardEvent) => {
      if (event.key === "Escape") close();
    };
    window.addEventListener("keydown", listener);
    return () => window.removeEventListener("keydown", listener);
  }, [active, close]);
}
