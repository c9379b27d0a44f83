//! How much a receiver lets be on its way, adapted to what it really takes.

/// Below this a window is no longer halved.
const LEAST: u32 = 4;

/// The window that a receiver grants, in chunks.
///
/// It begins with all that the receiver's buffers hold. When more is lost than arrives, something on the way
/// overflows, and the window is halved; when nothing is lost, it grows again by half. What lies between is
/// loss that a smaller window would not help.
#[derive(Clone, Debug)]
pub(super) struct Window {
    now: u32,
    most: u32,
}

impl Window {
    pub(super) fn new(most: u32) -> Self {
        let most = most.max(1);
        Self { now: most, most }
    }

    /// What may be unconfirmed.
    pub(super) fn chunks(&self) -> u32 {
        self.now
    }

    /// Bounds it anew: the receiver's buffers are shared by more transfers now, or by fewer.
    pub(super) fn limit(&mut self, most: u32) {
        self.most = most.max(1);
        self.now = self.now.min(self.most);
    }

    /// Takes what became of the chunks since the last call.
    pub(super) fn on_outcome(&mut self, arrived: u32, lost: u32) {
        self.now = match lost {
            0 => self.now.saturating_add(self.now.div_ceil(2)),
            lost if lost > arrived => (self.now / 2).max(LEAST),
            _ => self.now,
        };
        self.now = self.now.min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_halves_a_window_and_quiet_lets_it_grow_to_its_bound_again() {
        let mut window = Window::new(32);
        assert_eq!(window.chunks(), 32);
        window.on_outcome(4, 12);
        window.on_outcome(4, 12);
        assert_eq!(window.chunks(), 8);
        window.on_outcome(8, 3);
        assert_eq!(window.chunks(), 8, "single losses are no overflow");
        for _ in 0..10 {
            window.on_outcome(8, 0);
        }
        assert_eq!(window.chunks(), 32);
    }

    #[test]
    fn a_window_is_never_closed_and_never_over_its_bound() {
        let mut window = Window::new(32);
        for _ in 0..20 {
            window.on_outcome(0, 100);
        }
        assert_eq!(window.chunks(), LEAST);
        window.limit(2);
        assert_eq!(window.chunks(), 2);
        window.on_outcome(0, 100);
        assert_eq!(window.chunks(), 2);
        window.limit(0);
        assert_eq!(window.chunks(), 1);
    }
}
