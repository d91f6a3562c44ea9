import { useEffect, useMemo, useState } from "react";
import { debounce } from "../lib/timing";

interface SearchBoxProps {
  suggest(prefix: string): Promise<string[]>;
  onSearch(text: string): void;
}

export function SearchBox({ suggest, onSearch }: SearchBoxProps) {
  const [text, setText] = useState("");
  const [offers, setOffers] = useState<string[]>([]);

  const ask = useMemo(
    () =>
      debounce((prefix: string) => {
        void suggest(prefix).then(setOffers);
      }, 180),
    [suggest],
  );
  useEffect(() => () => ask.cancel(), [ask]);

  return (
    <div role="search">
      <input
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          ask(event.target.value);
        }}
        onKeyDown={(event) => event.key === "Enter" && onSearch(text)}
      />
      <ul>
        {offers.map((offer) => (
          <li key={offer} onClick={() => onSearch(offer)}>
            {highlightPrefix(offer, text)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function highlightPrefix(offer: string, typed: string) {
  if (!offer.startsWith(typed)) return offer;
  return (
    <>
      <b>{typed}</b>
      {offer.slice(typed.length)}
    </>
  );
}
