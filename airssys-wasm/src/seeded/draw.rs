//! Numbers that follow from a seed.

/// What is drawn for: each purpose has numbers of its own, so that one more draw for one changes nothing for the
/// others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Who goes on, and when.
    Order = 1,
    /// What goes wrong.
    Faults = 2,
    /// The randomness of guests.
    Guests = 3,
    /// What else of the host goes by chance.
    Others = 4,
    /// When what is asked of the mesh.
    Asked = 5,
}

/// SplitMix64: small, and the same on each machine and in each version of the host.
#[derive(Debug)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut draw = Self(seed ^ (purpose as u64).wrapping_mul(0xA076_1D64_78BD_642F));
        // Seeds that are next to each other do not begin alike.
        draw.next();
        draw
    }

    /// Numbers of their own for one of several places, of which each is drawn for whatever the others are.
    pub(super) fn of(drawn: u64, place: u64) -> Self {
        let mut draw = Self(drawn ^ place.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        draw.next();
        draw
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below this one; 0 where there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // The high half of a product: no division, and as even as anybody can tell for small ends.
        u64::try_from((u128::from(self.next()) * u128::from(end)) >> 64).unwrap_or_default()
    }

    /// Whether something happens that does so at this rate.
    pub(super) fn happens(&mut self, rate: f64) -> bool {
        // 53 bits are what a float of this size tells apart.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let drawn = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < rate
    }
}

#[cfg(test)]
mod tests {
    use super::{Draw, Purpose};

    #[test]
    fn a_seed_means_the_same_for_ever_and_purposes_do_not_meet() {
        let mut order = Draw::new(7, Purpose::Order);
        let drawn = [order.next(), order.next(), order.below(100)];
        let mut again = Draw::new(7, Purpose::Order);
        assert_eq!([again.next(), again.next(), again.below(100)], drawn);
        assert_ne!(Draw::new(7, Purpose::Faults).next(), Draw::new(7, Purpose::Order).next());
        assert_ne!(Draw::new(8, Purpose::Order).next(), Draw::new(7, Purpose::Order).next());
        assert_eq!(order.below(0), 0);
    }

    #[test]
    fn a_rate_is_kept_as_far_as_chance_goes() {
        let mut faults = Draw::new(1, Purpose::Faults);
        let happened = (0..10_000).filter(|_| faults.happens(0.25)).count();
        assert!((2_300..2_700).contains(&happened), "{happened}");
        assert!((0..1_000).all(|_| !faults.happens(0.0)) && (0..1_000).all(|_| faults.happens(1.0)));
    }
}
