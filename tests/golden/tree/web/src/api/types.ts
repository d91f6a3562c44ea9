export interface ApiProblem {
  title: string;
  detail?: string;
  field?: string;
}

export interface Article {
  sku: string;
  title: string;
  priceCents: number;
  currency: CurrencyCode;
  available: number;
}

export interface ArticlePage {
  items: Article[];
  nextCursor?: string;
}

export type CurrencyCode = "EUR" | "CHF" | "GBP";

export interface OrderDraft {
  lines: Array<{ sku: string; quantity: number }>;
  email: string;
  postcode: string;
  country: string;
  coupon?: string;
  idempotencyKey?: string;
}

export interface OrderReceipt {
  orderId: string;
  totalCents: number;
  currency: CurrencyCode;
  status: "placed" | "paid" | "held";
}
