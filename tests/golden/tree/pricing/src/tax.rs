//! Value added tax by country and kind of goods.

use std::collections::HashMap;
use std::fmt;

use crate::rounding::round_half_even;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GoodsClass {
    Standard,
    Food,
    Book,
    Exempt,
}

#[derive(Debug, PartialEq, Eq)]
pub enum TaxError {
    UnknownCountry(String),
}

impl fmt::Display for TaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaxError::UnknownCountry(code) => write!(f, "no tax rates for {code}"),
        }
    }
}

impl std::error::Error for TaxError {}

/// Knows the rates, in basis points: 1900 is 19 %.
pub struct TaxEngine {
    rates: HashMap<(String, GoodsClass), i64>,
}

impl TaxEngine {
    pub fn with_default_rates() -> Self {
        let mut rates = HashMap::new();
        for (country, standard, food, book) in [
            ("DE", 1900, 700, 700),
            ("FR", 2000, 550, 550),
            ("NL", 2100, 900, 900),
            ("GB", 2000, 0, 0),
            ("CH", 810, 260, 260),
        ] {
            rates.insert((country.to_string(), GoodsClass::Standard), standard);
            rates.insert((country.to_string(), GoodsClass::Food), food);
            rates.insert((country.to_string(), GoodsClass::Book), book);
        }
        TaxEngine { rates }
    }

    pub fn rate_for(&self, country: &str, class: GoodsClass) -> Result<i64, TaxError> {
        if class == GoodsClass::Exempt {
            return Ok(0);
        }
        self.rates
            .get(&(country.to_string(), class))
            .copied()
            .ok_or_else(|| TaxError::UnknownCountry(country.to_string()))
    }

    /// The tax hidden in a gross price.
    pub fn included_in(&self, gross_cents: i64, country: &str, class: GoodsClass) -> Result<i64, TaxError> {
        let rate = self.rate_for(country, class)?;
        Ok(round_half_even(gross_cents * rate, 10_000 + rate))
    }

    /// The tax to put on top of a net price.
    pub fn added_to(&self, net_cents: i64, country: &str, class: GoodsClass) -> Result<i64, TaxError> {
        let rate = self.rate_for(country, class)?;
        Ok(round_half_even(net_cents * rate, 10_000))
    }
}

/// A business buyer in another member state owes the tax itself; we charge none.
pub fn is_reverse_charge(seller: &str, buyer: &str, vat_number: Option<&str>) -> bool {
    seller != buyer && vat_number.is_some_and(|number| number.starts_with(buyer) && number.len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn german_gross_price_contains_nineteen_percent() {
        let engine = TaxEngine::with_default_rates();
        assert_eq!(engine.included_in(11_900, "DE", GoodsClass::Standard), Ok(1_900));
    }

    #[test]
    fn unknown_country_is_an_error() {
        let engine = TaxEngine::with_default_rates();
        assert!(engine.rate_for("XX", GoodsClass::Food).is_err());
    }
}
