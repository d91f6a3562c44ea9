import { useState, type FormEvent } from "react";
import { ApiError, type ApiClient } from "../api/client";
import type { OrderDraft, OrderReceipt } from "../api/types";
import { all, isEmail, isPostcode, passesLuhn } from "../lib/validators";

interface CheckoutFormProps {
  api: ApiClient;
  lines: OrderDraft["lines"];
  onDone(receipt: OrderReceipt): void;
}

export function CheckoutForm({ api, lines, onDone }: CheckoutFormProps) {
  const [email, setEmail] = useState("");
  const [postcode, setPostcode] = useState("");
  const [card, setCard] = useState("");
  const [hint, setHint] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [idempotencyKey] = useState(() => crypto.randomUUID());

  async function submit(event: FormEvent) {
    event.preventDefault();
    const verdict = all(isEmail(email), isPostcode(postcode, "DE"));
    if (!verdict.ok) {
      setHint(verdict.hint);
      return;
    }
    if (!passesLuhn(card)) {
      setHint("This card number has a typo in it");
      return;
    }
    setBusy(true);
    try {
      onDone(await api.submitOrder({ lines, email, postcode, country: "DE", idempotencyKey }));
    } catch (error) {
      setHint(error instanceof ApiError ? explain(error) : "We cannot reach the shop right now");
    } finally {
      setBusy(false);
    }
  }

  return (
    <form onSubmit={submit}>
      <label>
        Email <input value={email} onChange={(event) => setEmail(event.target.value)} autoComplete="email" />
      </label>
      <label>
        Postcode <input value={postcode} onChange={(event) => setPostcode(event.target.value)} />
      </label>
      <label>
        Card <input value={card} onChange={(event) => setCard(event.target.value)} inputMode="numeric" />
      </label>
      {hint && <p role="alert">{hint}</p>}
      <button disabled={busy}>Pay now</button>
    </form>
  );
}

function explain(error: ApiError): string {
  switch (error.problem.title) {
    case "out_of_stock":
      return "Somebody was faster: an article is sold out";
    case "payment_declined":
      return "Your bank refused the payment";
    default:
      return error.problem.detail ?? "The order could not be placed";
  }
}
