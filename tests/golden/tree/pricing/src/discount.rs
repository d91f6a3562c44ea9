//! Reductions. Every rule says what it would take off; the customer gets the best one, never a sum.

pub trait DiscountRule {
    fn name(&self) -> &str;
    fn reduction(&self, list_cents: i64, quantity: u32) -> i64;
}

pub struct PercentageOff {
    pub label: String,
    pub percent: i64,
}

impl DiscountRule for PercentageOff {
    fn name(&self) -> &str {
        &self.label
    }

    fn reduction(&self, list_cents: i64, _quantity: u32) -> i64 {
        list_cents * self.percent / 100
    }
}

/// Cheaper by the dozen: the more pieces, the more comes off each.
pub struct VolumeTiers {
    pub tiers: Vec<(u32, i64)>,
}

impl DiscountRule for VolumeTiers {
    fn name(&self) -> &str {
        "volume"
    }

    fn reduction(&self, list_cents: i64, quantity: u32) -> i64 {
        self.tiers
            .iter()
            .filter(|(from, _)| quantity >= *from)
            .map(|(_, percent)| list_cents * percent / 100)
            .max()
            .unwrap_or(0)
    }
}

pub struct FixedAmountOff {
    pub label: String,
    pub cents: i64,
}

impl DiscountRule for FixedAmountOff {
    fn name(&self) -> &str {
        &self.label
    }

    fn reduction(&self, list_cents: i64, _quantity: u32) -> i64 {
        self.cents.min(list_cents)
    }
}

pub fn best_offer(rules: &[Box<dyn DiscountRule>], list_cents: i64, quantity: u32) -> i64 {
    rules
        .iter()
        .map(|rule| rule.reduction(list_cents, quantity))
        .max()
        .unwrap_or(0)
        .clamp(0, list_cents)
}
