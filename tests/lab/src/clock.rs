//! The lab's clock. It runs at wall speed or stands still, and it can jump.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock that many parts of the lab share.
#[derive(Debug, Clone)]
pub struct LabClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
enum Hands {
    /// As the wall clock, ahead of it by this much.
    Wall(SignedDuration),
    /// Still, until somebody moves it.
    Set(Timestamp),
}

impl LabClock {
    /// A clock at wall speed.
    #[must_use]
    pub fn wall() -> Self {
        Self(Arc::new(Mutex::new(Hands::Wall(SignedDuration::ZERO))))
    }

    /// A clock that stands still at an instant.
    #[must_use]
    pub fn set_to(instant: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands::Set(instant))))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Hands) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The time in the lab.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.with(|hands| match hands {
            Hands::Wall(ahead) => Timestamp::now().saturating_add(*ahead).unwrap_or(Timestamp::MAX),
            Hands::Set(instant) => *instant,
        })
    }

    /// How far a clock at wall speed is ahead of the wall; zero for one that stands still.
    ///
    /// What the lab shows to functions, which live at wall time, is moved back by this much: a jump of an hour then
    /// looks to them as if the last hour had passed in an instant.
    #[must_use]
    pub fn ahead_of_wall(&self) -> SignedDuration {
        self.with(|hands| match hands {
            Hands::Wall(ahead) => *ahead,
            Hands::Set(_) => SignedDuration::ZERO,
        })
    }

    /// Moves the clock forward.
    pub fn jump(&self, by: SignedDuration) {
        self.with(|hands| match hands {
            Hands::Wall(ahead) => *ahead = ahead.saturating_add(by),
            Hands::Set(instant) => *instant = instant.saturating_add(by).unwrap_or(Timestamp::MAX),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_moves_only_by_jumps() {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let clock = LabClock::set_to(start);
        assert_eq!(clock.now(), start);
        clock.clone().jump(SignedDuration::from_mins(30));
        assert_eq!(clock.now(), start + SignedDuration::from_mins(30));
    }
}
