//! The patterns, as data.
//!
//! Codes of Salesforce: SOAP API Developer Guide, "Core Data Types Used in API Calls" (`StatusCode`, `ExceptionCode`).
//! Conditions of Databricks: "Error conditions in Databricks". Census publishes no list of its codes and messages.
//! Real messages for each class, with their sources, are in `tests/fixtures/errors`. "The server responded with status"
//! is how Census words an HTTP error of a destination (Census docs, X Ads).

use std::fmt;

use super::ErrorClass::{
    self, Auth, DeletedSourceColumn, DestinationDown, DuplicateValue, InvalidField, LockContention,
    RateLimit, RequiredFieldMissing, SourceQueryFailed, Timeout, ValidationRule,
};
use Matcher::{Code, Condition, Opening, Phrase, Wrapper};

/// What a class is known by.
#[derive(Debug, PartialEq, Eq)]
pub struct Pattern {
    pub class: ErrorClass,
    pub matcher: Matcher,
}

/// How a pattern is looked for. Messages quote names and values, which may read like anything; so a text counts only
/// where it stands as what it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Matcher {
    /// The message begins with this sentence, whatever its case.
    Opening(&'static str),
    /// A vendor's code, as a whole word where codes stand: alone, at the beginning, before a `:` after a `:`, or
    /// behind `errorCode` and the like.
    Code(&'static str),
    /// A code between square brackets, as Databricks writes its error conditions, with or without a sub-condition.
    Condition(&'static str),
    /// A code that only says where it happened: any other code in the same text is the better reason.
    Wrapper(&'static str),
    /// Words outside of quotes, whole ones, whatever their case. `''` stands for anything in quotes.
    Phrase(&'static str),
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opening(text) => write!(f, "the opening \"{text}\""),
            Code(code) | Wrapper(code) => write!(f, "the code {code}"),
            Condition(code) => write!(f, "the condition [{code}]"),
            Phrase(text) => write!(f, "the phrase \"{text}\""),
        }
    }
}

const fn by(class: ErrorClass, matcher: Matcher) -> Pattern {
    Pattern { class, matcher }
}

/// Every pattern, in the order of precedence. Among codes and conditions of one text the one that stands first wins.
pub const PATTERNS: &[Pattern] = &[
    // Sentences of Census's own. What follows them is a name, which may read like a code.
    by(DeletedSourceColumn, Opening("A mapped source column has been deleted")),
    by(ValidationRule, Opening("The array field being used does not appear to be valid JSON")),
    // Codes.
    by(RateLimit, Code("REQUEST_LIMIT_EXCEEDED")),
    by(RateLimit, Code("ExceededQuota")),
    by(LockContention, Code("UNABLE_TO_LOCK_ROW")),
    by(LockContention, Code("TooManyLockFailure")),
    by(Auth, Code("INVALID_SESSION_ID")),
    by(Auth, Code("InvalidSessionId")),
    by(Auth, Code("INVALID_LOGIN")),
    by(Auth, Code("LOGIN_MUST_USE_SECURITY_TOKEN")),
    by(Auth, Code("PASSWORD_LOCKOUT")),
    by(Auth, Code("INVALID_GRANT")),
    by(Auth, Code("invalid_grant")),
    by(Auth, Code("invalid_client")),
    by(Auth, Code("OAUTH_APP_BLOCKED")),
    by(Auth, Code("API_DISABLED_FOR_ORG")),
    by(Auth, Code("API_CURRENTLY_DISABLED")),
    by(Auth, Code("INSUFFICIENT_ACCESS")),
    by(Auth, Code("INSUFFICIENT_ACCESS_OR_READONLY")),
    by(Auth, Code("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY")),
    by(Auth, Code("PERMISSION_DENIED")),
    by(Auth, Condition("INSUFFICIENT_PERMISSIONS")),
    by(DestinationDown, Code("SERVER_UNAVAILABLE")),
    by(Timeout, Code("QUERY_TIMEOUT")),
    by(Timeout, Code("REQUEST_RUNNING_TOO_LONG")),
    by(Timeout, Code("DEADLINE_EXCEEDED")),
    by(Timeout, Code("ETIMEDOUT")),
    by(DuplicateValue, Code("DUPLICATE_VALUE")),
    by(DuplicateValue, Code("DUPLICATES_DETECTED")),
    by(DuplicateValue, Code("DUPLICATE_EXTERNAL_ID")),
    by(InvalidField, Code("INVALID_FIELD")),
    by(InvalidField, Code("INVALID_FIELD_FOR_INSERT_UPDATE")),
    by(InvalidField, Code("INVALID_TYPE")),
    by(InvalidField, Code("INVALIDENTITY")),
    by(RequiredFieldMissing, Code("REQUIRED_FIELD_MISSING")),
    by(ValidationRule, Code("FIELD_CUSTOM_VALIDATION_EXCEPTION")),
    by(ValidationRule, Code("FIELD_INTEGRITY_EXCEPTION")),
    by(ValidationRule, Code("FIELD_FILTER_VALIDATION_EXCEPTION")),
    by(ValidationRule, Code("STRING_TOO_LONG")),
    by(ValidationRule, Code("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")),
    by(ValidationRule, Code("INVALID_EMAIL_ADDRESS")),
    by(ValidationRule, Code("INVALID_CROSS_REFERENCE_KEY")),
    by(ValidationRule, Code("INVALID_TYPE_ON_FIELD_IN_RECORD")),
    by(ValidationRule, Code("NUMBER_OUTSIDE_VALID_RANGE")),
    by(ValidationRule, Code("MALFORMED_ID")),
    by(ValidationRule, Code("ENTITY_IS_LOCKED")),
    by(ValidationRule, Code("JSON_ARRAY_ERROR")),
    by(DeletedSourceColumn, Condition("UNRESOLVED_COLUMN")),
    by(SourceQueryFailed, Condition("TABLE_OR_VIEW_NOT_FOUND")),
    by(SourceQueryFailed, Condition("SCHEMA_NOT_FOUND")),
    by(SourceQueryFailed, Condition("UNRESOLVED_ROUTINE")),
    by(SourceQueryFailed, Condition("PARSE_SYNTAX_ERROR")),
    // A trigger or a flow that failed: its own reason, if it gives one, was found above.
    by(ValidationRule, Wrapper("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")),
    by(ValidationRule, Wrapper("CANNOT_EXECUTE_FLOW_TRIGGER")),
    // Words, for texts that carry no code.
    by(LockContention, Phrase("unable to obtain exclusive access to this record")),
    by(DuplicateValue, Phrase("duplicate value found")),
    by(DuplicateValue, Phrase("creating a duplicate record")),
    by(DuplicateValue, Phrase("use one of these records?")),
    by(DuplicateValue, Phrase("duplicate external id specified")),
    by(DuplicateValue, Phrase("the external ID provided matches more than one record")),
    by(RequiredFieldMissing, Phrase("required fields are missing")),
    by(ValidationRule, Phrase("bad value for restricted picklist field")),
    by(ValidationRule, Phrase("data value too large")),
    by(InvalidField, Phrase("no such column '' on entity")),
    by(InvalidField, Phrase("no such column '' on sobject")),
    by(InvalidField, Phrase("unable to create/update fields")),
    by(InvalidField, Phrase("bad field names on insert/update call")),
    by(InvalidField, Phrase("InvalidBatch : field name not found")),
    by(RateLimit, Phrase("TotalRequests limit exceeded")),
    by(RateLimit, Phrase("ConcurrentPerOrgLongTxn limit exceeded")),
    by(RateLimit, Phrase("(concurrent API requests) limit exceeded")),
    by(RateLimit, Phrase("ConcurrentRequests limit exceeded")),
    by(RateLimit, Phrase("rate limit exceeded")),
    by(RateLimit, Phrase("too many requests")),
    by(RateLimit, Phrase("the server responded with status 429")),
    by(Auth, Phrase("session expired or invalid")),
    by(Auth, Phrase("expired access/refresh token")),
    by(Auth, Phrase("invalid username, password, security token")),
    by(Auth, Phrase("invalid session ID")),
    by(Auth, Phrase("insufficient access rights")),
    by(Auth, Phrase("the server responded with status 401")),
    by(DeletedSourceColumn, Phrase("column '' does not exist")),
    by(SourceQueryFailed, Phrase("relation '' does not exist")),
    by(SourceQueryFailed, Phrase("table or view not found")),
    by(SourceQueryFailed, Phrase("warehouse '' is suspended")),
    by(SourceQueryFailed, Phrase("warehouse is not running")),
    by(SourceQueryFailed, Phrase("query execution failed")),
    by(DestinationDown, Phrase("we are down for maintenance")),
    by(DestinationDown, Phrase("server too busy")),
    by(DestinationDown, Phrase("service unavailable")),
    by(DestinationDown, Phrase("service was temporarily interrupted or is unavailable")),
    by(DestinationDown, Phrase("the server responded with status 502")),
    by(DestinationDown, Phrase("the server responded with status 503")),
    by(DestinationDown, Phrase("Error::ConnectionFailed")),
    by(Timeout, Phrase("your query request was running for too long")),
    by(Timeout, Phrase("this operation took too long")),
    by(Timeout, Phrase("Net::ReadTimeout")),
    by(Timeout, Phrase("Net::OpenTimeout")),
    by(Timeout, Phrase("exceptions.ConnectTimeout")),
    by(Timeout, Phrase("exceptions.ReadTimeout")),
    by(Timeout, Phrase("read timed out")),
    by(Timeout, Phrase("request timed out")),
    by(Timeout, Phrase("connection timed out")),
    by(Timeout, Phrase("[Databricks] timed out")),
    by(Timeout, Phrase("the server responded with status 504")),
];
