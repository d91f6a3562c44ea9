import type { CurrencyCode } from "../api/types";

export function formatMoney(cents: number, currency: CurrencyCode, locale = "de-DE"): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency }).format(cents / 100);
}

export function parseMoney(text: string): number {
  const normalized = text.replace(/[^\d,.-]/g, "").replace(/\.(?=\d{3}\b)/g, "").replace(",", ".");
  const value = Number(normalized);
  if (Number.isNaN(value)) {
    throw new RangeError(`not an amount: ${text}`);
  }
  return Math.round(value * 100);
}

export const sumCents = (amounts: number[]): number => amounts.reduce((total, amount) => total + amount, 0);
