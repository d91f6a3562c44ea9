export { ApiClient, ApiError, retryWithBackoff } from "./api/client";
export type { Article, ArticlePage, CurrencyCode, OrderDraft, OrderReceipt } from "./api/types";
export { CartDrawer } from "./components/CartDrawer";
export { CheckoutForm } from "./components/CheckoutForm";
export { SearchBox } from "./components/SearchBox";
export { formatMoney, parseMoney } from "./lib/money";
export { debounce, throttle } from "./lib/timing";
export { isEmail, isPostcode, passesLuhn } from "./lib/validators";
export { cartReducer, loadCart, persistCart } from "./store/cart";
