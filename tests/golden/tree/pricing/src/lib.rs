//! Prices, discounts and taxes. Amounts are whole cents; there is no floating point in here.

pub mod currency;
pub mod discount;
pub mod rounding;
pub mod tax;

pub use currency::{Currency, ExchangeTable};
pub use discount::{best_offer, DiscountRule};
pub use rounding::{round_half_even, split_evenly};
pub use tax::{TaxEngine, TaxError};

/// What a customer pays for one line: the list price, less the best discount, in their currency.
pub fn unit_price(
    list_cents: i64,
    quantity: u32,
    rules: &[Box<dyn DiscountRule>],
    table: &ExchangeTable,
    target: Currency,
) -> Option<i64> {
    let reduced = list_cents - best_offer(rules, list_cents, quantity);
    table.convert(reduced, Currency::Eur, target)
}
