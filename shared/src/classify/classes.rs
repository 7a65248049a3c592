//! The classes of errors, as data: cause, remedy, family and owner of each.

use serde::{Deserialize, Serialize};

use crate::finding::show_as_stored;

/// Declares [`ErrorClass`] and the facts about each class in one table.
macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal, $title:literal, $family:ident, $scope:ident, $waiting:ident,
        $changes:ident, $owner:ident {
        cause: $cause:literal,
        remedy: $remedy:literal,
    })+) => {
        /// The class of an error. Its id is part of notices and of the runbook, so an id never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorClass {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $variant,)+
        }

        impl ErrorClass {
            /// All classes, in the order that breaks a tie between samples.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the stable id in kebab case.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// Returns the title that people read.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// Returns the group of similar classes that it belongs to.
            pub fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family),+ }
            }

            /// Returns the likely cause: one sentence without a full stop.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),+ }
            }

            /// Returns the remedy for a person who was paged: one or two sentences.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),+ }
            }

            /// Returns whether all syncs of a connection share the cause.
            pub fn is_shared(self) -> bool {
                match self { $(Self::$variant => classes!(@shared $scope)),+ }
            }

            /// Returns whether a later run may succeed without a change.
            pub fn waiting_helps(self) -> bool {
                match self { $(Self::$variant => classes!(@waits $waiting)),+ }
            }

            /// Returns the first thing that its remedy changes.
            pub fn changes(self) -> Change {
                match self { $(Self::$variant => Change::$changes),+ }
            }

            /// Returns who can carry out its remedy.
            pub fn owner(self) -> Owner {
                match self { $(Self::$variant => Owner::$owner),+ }
            }
        }
    };
    (@shared Shared) => { true };
    (@shared Own) => { false };
    (@waits Waits) => { true };
    (@waits Stays) => { false };
}

/// Declares an enum whose values have a stable text each.
macro_rules! named {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $of:literal])* $variant:ident = $words:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[doc = $of])* #[serde(rename = $words)] $variant,)+
        }

        impl $name {
            /// All of them, in the order of this declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the stable text that is stored and shown.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $words),+ }
            }
        }

        show_as_stored!($name);
    };
}

named! {
    /// A group of classes with similar failures. Snapshots store it, and older notices name it.
    Family {
        /// A login or a permission is missing, at the source or at the destination.
        Auth = "auth",
        /// A limit of the destination is used up.
        RateLimit = "rate-limit",
        /// The destination does not answer, or reports that it is unavailable.
        DestinationDown = "destination-down",
        /// A time limit passed: of the sync's query, or of the automation behind the object that it writes.
        Timeout = "timeout",
        /// A column that the sync reads is missing from the source.
        DeletedSourceColumn = "deleted-source-column",
        /// A field or an object that the sync writes does not exist, or cannot be written.
        InvalidField = "invalid-field",
        /// The warehouse could not run the sync's query.
        SourceQueryFailed = "source-query-failed",
        /// A value that must be unique already exists.
        DuplicateValue = "duplicate-value",
        /// Another process was writing the same records.
        LockContention = "lock-contention",
        /// A required value is missing.
        RequiredFieldMissing = "required-field-missing",
        /// A rule, a trigger or the type of a field rejects the records.
        ValidationRule = "validation-rule",
        /// None of the others.
        Unknown = "unknown",
    }
}

named! {
    /// The first thing that a remedy changes. A remedy is harmful if it changes another thing than the right one.
    Change {
        /// It only waits, checks or asks.
        Nothing = "nothing",
        /// A login, a password or a token.
        Login = "login",
        /// Rights, licences or approvals of a user or an app.
        Rights = "rights",
        /// Allow lists, names, certificates, proxies.
        Network = "network",
        /// The mapping of the sync.
        Mapping = "mapping",
        /// The view or table that the sync reads.
        Source = "source",
        /// Records, at either end.
        Data = "data",
        /// Rules and automation of the destination.
        Rules = "rules",
    }
}

named! {
    /// The person who can carry out a remedy.
    Owner {
        CensusAdmin = "administrator of Census",
        /// For example the Salesforce administrator.
        DestinationAdmin = "administrator of the destination",
        WarehouseOwner = "owner of the warehouse or view",
        DataOwner = "owner of the data",
        NetworkOwner = "owner of the network",
        Vendor = "vendor of the service",
    }
}

classes! {
    /// A password, token or session is wrong, expired or revoked.
    LoginRefused = "login-refused", "login refused", Auth, Shared, Stays, Login, CensusAdmin {
        cause: "The source or the destination refuses the login of Census: its token, password or session is wrong, expired or revoked",
        remedy: "Reconnect the connection in Census. Every sync of that connection fails until then.",
    }
    /// The user must reset its password, or is locked or inactive.
    PasswordExpired = "password-expired", "password expired or user locked", Auth, Shared, Stays, Login, DestinationAdmin {
        cause: "The user of Census cannot log in: its password expired, or it is locked, frozen or inactive",
        remedy: "Reset or unlock the user of Census, then reconnect the connection. Set its password to never expire.",
    }
    /// The address of the caller is not allowed.
    IpRestricted = "ip-restricted", "address not allowed", Auth, Shared, Stays, Network, DestinationAdmin {
        cause: "The address from which Census or Syncwatch connects is not on the allow list of the source or the destination",
        remedy: "Add the addresses of Census to the allow list (login IP ranges, IP access list). Reconnecting does not help.",
    }
    /// The app through which Census logs in is blocked, unknown or lacks a consent.
    AppNotApproved = "app-not-approved", "app not approved", Auth, Shared, Stays, Rights, DestinationAdmin {
        cause: "The destination rejects the connected app of Census: it is blocked, not approved for this user, or lacks a scope",
        remedy: "Let the administrator approve the connected app of Census for its user, then reconnect the connection.",
    }
    /// The user lacks a permission, a licence or a feature.
    MissingPermission = "missing-permission", "missing permission", Auth, Shared, Stays, Rights, DestinationAdmin {
        cause: "The login works, but its user lacks a right, a licence or a feature for this object, field, table or API",
        remedy: "Give the user of Census the right that the vendor names. Changing the mapping hides the cause.",
    }
    /// A quota of a day or another period is used up.
    DailyLimit = "daily-limit", "daily limit", RateLimit, Shared, Waits, Nothing, DestinationAdmin {
        cause: "The daily quota is used up: the destination refuses requests until it is renewed",
        remedy: "Wait: the quota is renewed over 24 hours. Find its largest consumer, or raise it. Never start a full sync.",
    }
    /// Too many requests in a short time, or at once.
    BurstLimit = "burst-limit", "too many requests at once", RateLimit, Shared, Waits, Nothing, CensusAdmin {
        cause: "The destination got too many requests at once and refuses more for a short time",
        remedy: "Wait: the next run catches up. If it happens again, spread the syncs over the hour or lower their batch sizes.",
    }
    /// The organization's storage is full.
    StorageFull = "storage-full", "storage full", RateLimit, Shared, Stays, Nothing, DestinationAdmin {
        cause: "The data or file storage of the destination is full: no record can be created",
        remedy: "Ask the administrator to free or buy storage. Waiting does not help; updates may still work.",
    }
    /// A connection was refused, reset or closed.
    ConnectionFailed = "connection-failed", "connection failed", DestinationDown, Shared, Waits, Nothing, Vendor {
        cause: "The connection was refused or dropped: the service did not answer",
        remedy: "Wait for the next run, which sends the same records. If it lasts an hour, check the status page of the service.",
    }
    /// A host name, a certificate or a proxy failed.
    DnsOrTls = "dns-or-tls", "DNS, TLS or proxy", DestinationDown, Shared, Stays, Network, NetworkOwner {
        cause: "The host name did not resolve, its certificate was not trusted, or a proxy blocked the connection",
        remedy: "Check the address in the connection, then name, certificate and proxy from another network. A retry alone rarely helps.",
    }
    /// Announced maintenance, or a read-only mode.
    Maintenance = "maintenance", "maintenance", DestinationDown, Shared, Waits, Nothing, Vendor {
        cause: "The destination is under maintenance or read-only",
        remedy: "Wait until its status page reports the end of the maintenance: the next run catches up. Never start a full sync.",
    }
    /// The service, or a gateway before it, answers that it is unavailable.
    Unavailable = "unavailable", "service unavailable", DestinationDown, Shared, Waits, Nothing, Vendor {
        cause: "The service is overloaded or down",
        remedy: "Check its status page and wait: the next run catches up. Never start a full sync.",
    }
    /// An internal error of the service.
    VendorFault = "vendor-fault", "fault of the vendor", DestinationDown, Shared, Waits, Nothing, Vendor {
        cause: "The service reports an internal error",
        remedy: "Wait for one more run. If it fails again, send the vendor's support the error id and the time.",
    }
    /// A request over the network took too long.
    RequestTimeout = "request-timeout", "request timeout", Timeout, Own, Waits, Nothing, CensusAdmin {
        cause: "A connection or an answer took longer than its time limit",
        remedy: "Wait for the next run. If it fails too, lower the batch size, and check the status page of the service.",
    }
    /// A query ran too long.
    QueryTimeout = "query-timeout", "query timeout", Timeout, Own, Waits, Nothing, WarehouseOwner {
        cause: "A query ran longer than its time limit",
        remedy: "Wait for the next run. If it fails too, ask the owner of the view to check the query plan, or use a larger warehouse.",
    }
    /// A governor limit of Apex.
    GovernorLimit = "governor-limit", "Apex limit", Timeout, Own, Waits, Nothing, DestinationAdmin {
        cause: "Automation behind the object used more than Salesforce allows in one transaction (CPU time, queries, rows)",
        remedy: "Lower the batch size of the sync. If it continues, the owner of the trigger or flow must make it handle many records at once.",
    }
    /// A column that the sync reads is missing from the source.
    DeletedSourceColumn = "deleted-source-column", "deleted source column", DeletedSourceColumn, Own, Stays, Source, WarehouseOwner {
        cause: "A column that the sync reads is missing from the source: the view or the table was changed",
        remedy: "Restore the column, or remove it from the mapping in Census. Every run fails until then.",
    }
    /// A field that the sync writes does not exist, or is not visible.
    FieldNotFound = "field-not-found", "field not found", InvalidField, Own, Stays, Nothing, CensusAdmin {
        cause: "The destination has no field of that name that the user of Census can see, or it cannot serve as the sync key",
        remedy: "Compare the field's name in the notice with the object, and the rights of Census's user on it, before you change the mapping.",
    }
    /// An object that the sync writes does not exist, or is not visible.
    ObjectNotFound = "object-not-found", "object not found", InvalidField, Own, Stays, Nothing, CensusAdmin {
        cause: "The destination has no object or address of that name that the user of Census can see",
        remedy: "Compare the object's name in the notice with the destination, and the rights of Census's user on it.",
    }
    /// A field that the sync writes is read-only.
    FieldNotWritable = "field-not-writable", "field not writable", InvalidField, Own, Stays, Rights, DestinationAdmin {
        cause: "A field cannot be written: it is read-only for the user of Census, calculated, or only set at creation",
        remedy: "Give the user of Census edit rights on the field. If it is calculated or set by the system, remove it from the mapping.",
    }
    /// A table, view, schema or catalog is missing.
    TableMissing = "table-missing", "table missing", SourceQueryFailed, Own, Stays, Source, WarehouseOwner {
        cause: "A table, view or schema that the sync reads does not exist",
        remedy: "Restore the table or view under its old name, or change the sync to the new one. Every run fails until then.",
    }
    /// The query, or a value in it, is invalid.
    QueryInvalid = "query-invalid", "invalid query", SourceQueryFailed, Own, Stays, Source, WarehouseOwner {
        cause: "The query of the sync fails in the warehouse: its text, or a value that it converts, is wrong",
        remedy: "Run the query by hand in the warehouse; its owner corrects it. Every run fails until then.",
    }
    /// The warehouse is not running.
    WarehouseStopped = "warehouse-stopped", "warehouse stopped", SourceQueryFailed, Shared, Waits, Nothing, WarehouseOwner {
        cause: "The warehouse or cluster is stopped, starting or deleted",
        remedy: "Wait a few minutes for it to start; the next run succeeds. If it stays stopped, start it, or check whether it was deleted.",
    }
    /// Memory, disk, connections or workers of the warehouse ran out.
    WarehouseResources = "warehouse-resources", "warehouse out of resources", SourceQueryFailed, Shared, Waits, Nothing, WarehouseOwner {
        cause: "The warehouse ran out of memory, disk, connections or workers",
        remedy: "Wait for the next run. If it happens again, run fewer queries at that hour or use a larger warehouse.",
    }
    /// No connection to the source.
    WarehouseUnreachable = "warehouse-unreachable", "warehouse unreachable", SourceQueryFailed, Shared, Waits, Nothing, NetworkOwner {
        cause: "The source database or warehouse could not be reached",
        remedy: "Check that the database runs and that its address is right, then check the network. The next run catches up.",
    }
    /// A value that must be unique already exists.
    UniqueValue = "unique-value", "duplicate value", DuplicateValue, Own, Stays, Data, DataOwner {
        cause: "A record with the same value in a unique field already exists",
        remedy: "Do not retry a create sync before its sync key is unique in the destination: it could create duplicates. Merge the records first.",
    }
    /// The organization's own rule against duplicates.
    DuplicateRule = "duplicate-rule", "duplicate rule", DuplicateValue, Own, Stays, Data, DestinationAdmin {
        cause: "A duplicate rule of the organization found similar records and blocks the new one",
        remedy: "Do not retry a create sync. Merge the records, or ask the rule's owner to allow the user of Census. Never start a full sync.",
    }
    /// The sync key is not unique.
    KeyNotUnique = "key-not-unique", "key not unique", DuplicateValue, Own, Stays, Data, DataOwner {
        cause: "The sync key is not unique: it matches several records in the destination, or appears twice in the source",
        remedy: "Do not retry before the key is unique: find the duplicate keys in source and destination, and merge the records.",
    }
    /// Another process was writing the same records.
    LockContention = "lock-contention", "lock contention", LockContention, Own, Waits, Nothing, CensusAdmin {
        cause: "Another process was writing the same records",
        remedy: "Wait: Census sends these records again with the next run. If it continues, lower the batch size or reschedule the other process.",
    }
    /// A required value is missing.
    RequiredFieldMissing = "required-field-missing", "required field missing", RequiredFieldMissing, Own, Stays, Data, DataOwner {
        cause: "Records lack a value that the destination requires",
        remedy: "Fill the field in the source, or map it. Census sends the rejected records again with the next run.",
    }
    /// A rule of the organization rejects the value.
    ValidationRule = "validation-rule", "validation rule", ValidationRule, Own, Stays, Nothing, DestinationAdmin {
        cause: "A validation rule of the destination refuses the values",
        remedy: "Decide with the owner of the destination whether the rule or the data changes. Rejected records are sent again with the next run.",
    }
    /// A trigger or flow failed.
    TriggerFailed = "trigger-failed", "automation failed", ValidationRule, Own, Stays, Nothing, DestinationAdmin {
        cause: "A trigger, flow or process of the destination failed on these records",
        remedy: "Send its owner the name of the trigger or flow and the vendor's message. The records are sent again once it works.",
    }
    /// A referenced record does not exist.
    ParentNotFound = "parent-not-found", "related record not found", ValidationRule, Own, Waits, Nothing, DataOwner {
        cause: "A referenced record, such as a parent, is missing from the destination or not visible to the user of Census",
        remedy: "Check that the parents' sync ran first and that the referenced key exists. The schema is not the cause: leave the mapping as it is.",
    }
    /// The owner that a record refers to is inactive.
    InactiveOwner = "inactive-owner", "inactive owner", ValidationRule, Own, Stays, Data, DataOwner {
        cause: "Records are owned by, or refer to, a user who is inactive",
        remedy: "Give the records an active owner in the source, or ask the administrator to reactivate the user or allow inactive owners.",
    }
    /// A value has the wrong type, length, format or range.
    InvalidValue = "invalid-value", "invalid value", ValidationRule, Own, Stays, Data, DataOwner {
        cause: "A value does not fit its field: type, length, format, range or picklist",
        remedy: "Correct the value in the source or the view, or widen the field with its owner. Rejected records are sent again with the next run.",
    }
    /// The record to write is deleted or not found.
    RecordGone = "record-gone", "record gone", ValidationRule, Own, Stays, Data, DataOwner {
        cause: "The record to update was deleted or merged in the destination",
        remedy: "Remove the record from the update sync, or restore it from the recycle bin with its owner.",
    }
    /// An approval locks the record.
    RecordLocked = "record-locked", "record locked", ValidationRule, Own, Waits, Nothing, DestinationAdmin {
        cause: "The record is locked by an approval process",
        remedy: "Wait for the approval to end: the record is sent again with each run. Its approver or administrator can unlock it.",
    }
    /// None of the others.
    Unknown = "unknown", "unknown", Unknown, Own, Waits, Nothing, CensusAdmin {
        cause: "Unrecognised error",
        remedy: "Read the vendor's message and the sync history in Census, and wait for one more run before you change anything.",
    }
}

impl ErrorClass {
    /// Finds the class with a stable id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.id() == id)
    }
}

show_as_stored!(ErrorClass);
