//! Those who get notices: subscribers of SNS, and PagerDuty.

mod mail;
mod pagerduty;
mod sns;

pub use mail::{Mail, MailTap};
pub use pagerduty::{PagerDuty, PagerDutyEvent};
pub use sns::{Notification, SnsReceiver};
