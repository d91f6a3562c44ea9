import { describe, expect, it } from "vitest";
import { isCardExpired, isEmail, isPostcode, passesLuhn } from "../lib/validators";
import { debounce } from "../lib/timing";

describe("validators", () => {
  it("takes an email with a dot in its domain", () => {
    expect(isEmail("ana@hazel.example").ok).toBe(true);
    expect(isEmail("ana@hazel").ok).toBe(false);
  });

  it("knows Swiss postcodes", () => {
    expect(isPostcode("8001", "CH").ok).toBe(true);
  });

  it("finds a card number with a typo", () => {
    expect(passesLuhn("4242 4242 4242 4243")).toBe(false);
  });

  it("lets a card live to the end of its month", () => {
    expect(isCardExpired(5, 24, new Date(2024, 4, 31))).toBe(false);
  });
});

describe("debounce", () => {
  it("makes only the last call", async () => {
    const seen: number[] = [];
    const push = debounce((n: number) => seen.push(n), 5);
    push(1);
    push(2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen).toEqual([2]);
  });
});
