//! The lab's clock. It runs at wall speed or is stopped, and it can jump.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock shared by the parts of the lab.
#[derive(Debug, Clone)]
pub struct LabClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
enum Hands {
    /// Runs at wall speed, ahead of the wall clock by this much.
    Wall(SignedDuration),
    /// Stopped at an instant.
    Set(Timestamp),
}

impl LabClock {
    /// A clock that runs at wall speed.
    #[must_use]
    pub fn wall() -> Self {
        Self(Arc::new(Mutex::new(Hands::Wall(SignedDuration::ZERO))))
    }

    /// A clock that is stopped at an instant.
    #[must_use]
    pub fn set_to(instant: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands::Set(instant))))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Hands) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lab time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.with(|hands| match hands {
            Hands::Wall(ahead) => Timestamp::now().saturating_add(*ahead).unwrap_or(Timestamp::MAX),
            Hands::Set(instant) => *instant,
        })
    }

    /// The lead of a running clock over the wall clock; zero for a stopped one.
    ///
    /// Functions run at wall time, so the lab moves every shown instant back by this much: to them a jump of an hour looks
    /// as if the last hour had passed at once.
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
    fn stopped_clock_moves_only_by_jumps() {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let clock = LabClock::set_to(start);
        assert_eq!(clock.now(), start);
        clock.clone().jump(SignedDuration::from_mins(30));
        assert_eq!(clock.now(), start + SignedDuration::from_mins(30));
    }
}
