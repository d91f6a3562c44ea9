export type Verdict = { ok: true } | { ok: false; hint: string };

const pass: Verdict = { ok: true };
const fail = (hint: string): Verdict => ({ ok: false, hint });

export function isEmail(value: string): Verdict {
  const at = value.lastIndexOf("@");
  if (at < 1 || !value.slice(at + 1).includes(".")) {
    return fail("Please enter an address like name@example.org");
  }
  return pass;
}

export function isPostcode(value: string, country: string): Verdict {
  const digits = country === "CH" ? 4 : 5;
  return new RegExp(`^\\d{${digits}}$`).test(value.trim()) ? pass : fail(`A postcode has ${digits} digits here`);
}

/** The checksum of payment card numbers: double every second digit from the right and sum up. */
export function passesLuhn(value: string): boolean {
  const digits = value.replace(/\D/g, "");
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    let digit = Number(digits[digits.length - 1 - i]);
    if (i % 2 === 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return digits.length > 11 && sum % 10 === 0;
}

export function isCardExpired(month: number, year: number, today: Date): boolean {
  const firstInvalid = new Date(2000 + (year % 100), month, 1);
  return today >= firstInvalid;
}

export function all(...verdicts: Verdict[]): Verdict {
  return verdicts.find((verdict) => !verdict.ok) ?? pass;
}
