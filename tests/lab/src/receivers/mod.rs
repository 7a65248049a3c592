//! The receivers of notices: SNS subscribers, PagerDuty, and a chat.

mod chat;
mod mail;
mod pagerduty;
mod sns;

pub use chat::{Chat, ChatMessage, ChatRefusal};
pub use mail::{Mail, MailTap, Publishing};
pub use pagerduty::{PagerDuty, PagerDutyEvent, ROUTING_KEY};
pub use sns::{Notification, SnsReceiver};
