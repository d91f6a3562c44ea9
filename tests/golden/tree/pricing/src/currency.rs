use std::collections::HashMap;

use crate::rounding::{round_half_even, round_to_five};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Currency {
    Eur,
    Chf,
    Gbp,
}

/// Exchange rates against the euro, in millionths, with the day they were fixed.
pub struct ExchangeTable {
    micros_per_euro: HashMap<Currency, i64>,
    fixed_on_day: u32,
}

impl ExchangeTable {
    pub fn new(fixed_on_day: u32) -> Self {
        let mut micros_per_euro = HashMap::new();
        micros_per_euro.insert(Currency::Eur, 1_000_000);
        ExchangeTable { micros_per_euro, fixed_on_day }
    }

    pub fn set(&mut self, currency: Currency, micros: i64) {
        self.micros_per_euro.insert(currency, micros);
    }

    pub fn is_stale(&self, today: u32) -> bool {
        today.saturating_sub(self.fixed_on_day) > 3
    }

    pub fn convert(&self, cents: i64, from: Currency, to: Currency) -> Option<i64> {
        let source = *self.micros_per_euro.get(&from)?;
        let target = *self.micros_per_euro.get(&to)?;
        let exact = round_half_even(cents * target, source);
        Some(if to == Currency::Chf { round_to_five(exact) } else { exact })
    }
}
