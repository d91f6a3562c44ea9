export interface CartLine {
  sku: string;
  title: string;
  quantity: number;
  priceCents: number;
}

export interface CartState {
  lines: CartLine[];
  coupon?: string;
}

export type CartAction =
  | { type: "added"; line: CartLine }
  | { type: "quantityChanged"; sku: string; quantity: number }
  | { type: "removed"; sku: string }
  | { type: "couponEntered"; code: string }
  | { type: "emptied" };

const STORAGE_KEY = "hazelmart.cart.v2";

export function cartReducer(state: CartState, action: CartAction): CartState {
  switch (action.type) {
    case "added": {
      const existing = state.lines.find((line) => line.sku === action.line.sku);
      if (!existing) {
        return { ...state, lines: [...state.lines, action.line] };
      }
      return cartReducer(state, {
        type: "quantityChanged",
        sku: existing.sku,
        quantity: existing.quantity + action.line.quantity,
      });
    }
    case "quantityChanged":
      return {
        ...state,
        lines: state.lines
          .map((line) => (line.sku === action.sku ? { ...line, quantity: action.quantity } : line))
          .filter((line) => line.quantity > 0),
      };
    case "removed":
      return { ...state, lines: state.lines.filter((line) => line.sku !== action.sku) };
    case "couponEntered":
      return { ...state, coupon: action.code.trim().toUpperCase() };
    case "emptied":
      return { lines: [] };
  }
}

/** Keeps the basket over a page reload. */
export function persistCart(state: CartState, storage: Storage = localStorage): void {
  storage.setItem(STORAGE_KEY, JSON.stringify(state));
}

export function loadCart(storage: Storage = localStorage): CartState {
  try {
    return JSON.parse(storage.getItem(STORAGE_KEY) ?? "") as CartState;
  } catch {
    return { lines: [] };
  }
}

export const selectTotal = (state: CartState): number =>
  state.lines.reduce((total, line) => total + line.priceCents * line.quantity, 0);
