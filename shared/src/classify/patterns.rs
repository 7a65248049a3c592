//! The patterns, as data.
//!
//! Codes of Salesforce: SOAP API Developer Guide, "Core Data Types Used in API Calls" (`StatusCode`, `ExceptionCode`).
//! Conditions of Databricks: "Error conditions in Databricks". Census publishes no list of its codes and messages.
//! Real messages for each class, with their sources, are in `tests/fixtures/errors`. "The server responded with status"
//! is how Census words an HTTP error of a destination (Census docs, X Ads).

use super::ErrorClass::{
    self, Auth, DeletedSourceColumn, DestinationDown, DuplicateValue, InvalidField, LockContention,
    RateLimit, RequiredFieldMissing, SourceQueryFailed, Timeout, ValidationRule,
};
use Matcher::{Code, Condition, Opening, Phrase, Wrapper};

/// How a pattern is looked for. Messages quote names and values, which may read like anything; so a text counts only
/// where it stands as what it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Matcher {
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

/// What each class is known by, in the order of precedence. Among codes and conditions of one text the one that stands
/// first wins.
pub(super) const PATTERNS: &[(ErrorClass, Matcher)] = &[
    // Sentences of Census's own. What follows them is a name, which may read like a code.
    (DeletedSourceColumn, Opening("A mapped source column has been deleted")),
    (ValidationRule, Opening("The array field being used does not appear to be valid JSON")),
    // Codes.
    (RateLimit, Code("REQUEST_LIMIT_EXCEEDED")),
    (RateLimit, Code("ExceededQuota")),
    (LockContention, Code("UNABLE_TO_LOCK_ROW")),
    (LockContention, Code("TooManyLockFailure")),
    (Auth, Code("INVALID_SESSION_ID")),
    (Auth, Code("InvalidSessionId")),
    (Auth, Code("INVALID_LOGIN")),
    (Auth, Code("LOGIN_MUST_USE_SECURITY_TOKEN")),
    (Auth, Code("PASSWORD_LOCKOUT")),
    (Auth, Code("INVALID_GRANT")),
    (Auth, Code("invalid_grant")),
    (Auth, Code("invalid_client")),
    (Auth, Code("OAUTH_APP_BLOCKED")),
    (Auth, Code("API_DISABLED_FOR_ORG")),
    (Auth, Code("API_CURRENTLY_DISABLED")),
    (Auth, Code("INSUFFICIENT_ACCESS")),
    (Auth, Code("INSUFFICIENT_ACCESS_OR_READONLY")),
    (Auth, Code("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY")),
    (Auth, Code("PERMISSION_DENIED")),
    (Auth, Condition("INSUFFICIENT_PERMISSIONS")),
    (DestinationDown, Code("SERVER_UNAVAILABLE")),
    (Timeout, Code("QUERY_TIMEOUT")),
    (Timeout, Code("REQUEST_RUNNING_TOO_LONG")),
    (Timeout, Code("DEADLINE_EXCEEDED")),
    (Timeout, Code("ETIMEDOUT")),
    (DuplicateValue, Code("DUPLICATE_VALUE")),
    (DuplicateValue, Code("DUPLICATES_DETECTED")),
    (DuplicateValue, Code("DUPLICATE_EXTERNAL_ID")),
    (InvalidField, Code("INVALID_FIELD")),
    (InvalidField, Code("INVALID_FIELD_FOR_INSERT_UPDATE")),
    (InvalidField, Code("INVALID_TYPE")),
    (InvalidField, Code("INVALIDENTITY")),
    (RequiredFieldMissing, Code("REQUIRED_FIELD_MISSING")),
    (ValidationRule, Code("FIELD_CUSTOM_VALIDATION_EXCEPTION")),
    (ValidationRule, Code("FIELD_INTEGRITY_EXCEPTION")),
    (ValidationRule, Code("FIELD_FILTER_VALIDATION_EXCEPTION")),
    (ValidationRule, Code("STRING_TOO_LONG")),
    (ValidationRule, Code("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")),
    (ValidationRule, Code("INVALID_EMAIL_ADDRESS")),
    (ValidationRule, Code("INVALID_CROSS_REFERENCE_KEY")),
    (ValidationRule, Code("INVALID_TYPE_ON_FIELD_IN_RECORD")),
    (ValidationRule, Code("NUMBER_OUTSIDE_VALID_RANGE")),
    (ValidationRule, Code("MALFORMED_ID")),
    (ValidationRule, Code("ENTITY_IS_LOCKED")),
    (ValidationRule, Code("JSON_ARRAY_ERROR")),
    (DeletedSourceColumn, Condition("UNRESOLVED_COLUMN")),
    (SourceQueryFailed, Condition("TABLE_OR_VIEW_NOT_FOUND")),
    (SourceQueryFailed, Condition("SCHEMA_NOT_FOUND")),
    (SourceQueryFailed, Condition("UNRESOLVED_ROUTINE")),
    (SourceQueryFailed, Condition("PARSE_SYNTAX_ERROR")),
    // A trigger or a flow that failed: its own reason, if it gives one, was found above.
    (ValidationRule, Wrapper("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")),
    (ValidationRule, Wrapper("CANNOT_EXECUTE_FLOW_TRIGGER")),
    // Words, for texts that carry no code.
    (LockContention, Phrase("unable to obtain exclusive access to this record")),
    (DuplicateValue, Phrase("duplicate value found")),
    (DuplicateValue, Phrase("creating a duplicate record")),
    (DuplicateValue, Phrase("use one of these records?")),
    (DuplicateValue, Phrase("duplicate external id specified")),
    (DuplicateValue, Phrase("the external ID provided matches more than one record")),
    (RequiredFieldMissing, Phrase("required fields are missing")),
    (ValidationRule, Phrase("bad value for restricted picklist field")),
    (ValidationRule, Phrase("data value too large")),
    (InvalidField, Phrase("no such column '' on entity")),
    (InvalidField, Phrase("no such column '' on sobject")),
    (InvalidField, Phrase("unable to create/update fields")),
    (InvalidField, Phrase("bad field names on insert/update call")),
    (InvalidField, Phrase("InvalidBatch : field name not found")),
    (RateLimit, Phrase("TotalRequests limit exceeded")),
    (RateLimit, Phrase("ConcurrentPerOrgLongTxn limit exceeded")),
    (RateLimit, Phrase("(concurrent API requests) limit exceeded")),
    (RateLimit, Phrase("ConcurrentRequests limit exceeded")),
    (RateLimit, Phrase("rate limit exceeded")),
    (RateLimit, Phrase("too many requests")),
    (RateLimit, Phrase("the server responded with status 429")),
    (Auth, Phrase("session expired or invalid")),
    (Auth, Phrase("expired access/refresh token")),
    (Auth, Phrase("invalid username, password, security token")),
    (Auth, Phrase("invalid session ID")),
    (Auth, Phrase("insufficient access rights")),
    (Auth, Phrase("the server responded with status 401")),
    (DeletedSourceColumn, Phrase("column '' does not exist")),
    (SourceQueryFailed, Phrase("relation '' does not exist")),
    (SourceQueryFailed, Phrase("table or view not found")),
    (SourceQueryFailed, Phrase("warehouse '' is suspended")),
    (SourceQueryFailed, Phrase("warehouse is not running")),
    (SourceQueryFailed, Phrase("query execution failed")),
    (DestinationDown, Phrase("we are down for maintenance")),
    (DestinationDown, Phrase("server too busy")),
    (DestinationDown, Phrase("service unavailable")),
    (DestinationDown, Phrase("service was temporarily interrupted or is unavailable")),
    (DestinationDown, Phrase("the server responded with status 502")),
    (DestinationDown, Phrase("the server responded with status 503")),
    (DestinationDown, Phrase("Error::ConnectionFailed")),
    (Timeout, Phrase("your query request was running for too long")),
    (Timeout, Phrase("this operation took too long")),
    (Timeout, Phrase("Net::ReadTimeout")),
    (Timeout, Phrase("Net::OpenTimeout")),
    (Timeout, Phrase("exceptions.ConnectTimeout")),
    (Timeout, Phrase("exceptions.ReadTimeout")),
    (Timeout, Phrase("read timed out")),
    (Timeout, Phrase("request timed out")),
    (Timeout, Phrase("connection timed out")),
    (Timeout, Phrase("[Databricks] timed out")),
    (Timeout, Phrase("the server responded with status 504")),
];
