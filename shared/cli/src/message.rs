//! Classifies a pasted error and shows the grounds, so that a person can check the class and report a miss.

use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};
use syncwatch::classify::{Certainty, Classification, ErrorClass, Family, Ground, classify_text, scrub};

use crate::error::Error;

/// Bytes of a message that are read; the reason comes at its beginning.
const LONGEST: u64 = 1 << 20;

/// A message's class with its details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classified {
    pub class: ErrorClass,
    pub family: Family,
    pub certainty: Certainty,
    /// The second most likely class, if the class is a guess.
    pub second: Option<ErrorClass>,
    /// A sentence with the likely classes, if the class is a guess.
    #[serde(skip)]
    pub likely: Option<String>,
    /// Grounds for the class, strongest first.
    pub grounds: Vec<Ground>,
    pub title: String,
    pub cause: String,
    pub remedy: String,
    /// Role that can apply the remedy.
    pub owner: String,
    pub waiting_helps: bool,
    /// Whether all syncs of a connection share the error.
    pub shared: bool,
    /// The message as notices and logs show it, without values of records.
    pub shown: String,
}

/// Classifies a message; `-` reads it from standard input.
pub(crate) fn classified(message: &str, input: impl Read) -> Result<Classified, Error> {
    let text = match message {
        "-" => read(input)?,
        message => message.to_owned(),
    };
    if text.trim().is_empty() {
        let hint = "paste the vendor's message: syncwatch explain --message 'UNABLE_TO_LOCK_ROW: ...'";
        return Err(Error::new("no message to classify", hint));
    }
    Ok(Classified::of(&text))
}

fn read(input: impl Read) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = input.take(LONGEST).read_to_end(&mut bytes);
    read.map_err(|error| Error::plain(format!("cannot read standard input: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Classified {
    fn of(text: &str) -> Self {
        let found = classify_text(text);
        let likely = found.guess();
        let Classification { class, certainty, second, grounds } = found;
        Self {
            class,
            family: class.family(),
            certainty,
            second,
            likely,
            grounds,
            title: class.title().to_owned(),
            cause: class.cause().to_owned(),
            remedy: class.remedy().to_owned(),
            owner: class.owner().to_string(),
            waiting_helps: class.waiting_helps(),
            shared: class.is_shared(),
            shown: scrub(text),
        }
    }
}

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, family, certainty, .. } = self;
        writeln!(f, "{class} ({}), family {family}, certainty {certainty}", self.title)?;
        let grounds: Vec<String> = self.grounds.iter().map(ToString::to_string).collect();
        let grounds =
            if grounds.is_empty() { "no known code or words".to_owned() } else { grounds.join("; ") };
        writeln!(f, "\nGROUNDS\n{grounds}")?;
        if *certainty == Certainty::Guess {
            let likely = self.likely.as_deref().map_or_else(String::new, |likely| format!(" {likely}"));
            writeln!(f, "\nREMEDY\nNone: this is a guess.{likely} {}", ErrorClass::Unknown.remedy())?;
        } else {
            let waiting = if self.waiting_helps { "Waiting helps." } else { "Waiting does not help." };
            let shared = if self.shared { " All syncs of the connection share it." } else { "" };
            writeln!(f, "\nCAUSE\n{}.", self.cause)?;
            writeln!(f, "\nREMEDY\n{}\nWho: {}. {waiting}{shared}", self.remedy, self.owner)?;
        }
        writeln!(f, "\nSHOWN IN NOTICES\n{}", self.shown)?;
        write!(
            f,
            "\nMore: syncwatch explain {class}. Wrong class? Report it as one line: tests/fixtures/errors/README.md"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> String {
        classified(message, std::io::empty())
            .map_or_else(|error| error.to_string(), |found| found.to_string())
    }

    #[test]
    fn message_is_explained_with_its_grounds_and_without_values() {
        insta::assert_snapshot!(of("INVALID_FIELD:Foreign key external ID: 0000712345 not found for field Billing_Id__c in entity Account:Billing_Id__c --"), @r"
        parent-not-found (related record not found), family validation-rule, certainty likely

        GROUNDS
        words: foreign key external id + not found for field; code INVALID_FIELD

        CAUSE
        A referenced record, such as a parent, is missing from the destination or not visible to the user of Census.

        REMEDY
        Check that the parents' sync ran first and that the referenced key exists. The schema is not the cause: leave the mapping as it is.
        Who: owner of the data. Waiting helps.

        SHOWN IN NOTICES
        INVALID_FIELD:Foreign key external ID: [hidden] not found for field Billing_Id__c in entity Account:Billing_Id__c --

        More: syncwatch explain parent-not-found. Wrong class? Report it as one line: tests/fixtures/errors/README.md
        ");
    }

    #[test]
    fn guess_names_two_classes_and_no_remedy() {
        insta::assert_snapshot!(of("access denied, invalid token"), @r"
        missing-permission (missing permission), family auth, certainty guess

        GROUNDS
        words: access denied; words: invalid token

        REMEDY
        None: this is a guess. It may be missing-permission or login-refused. Read the vendor's message and the sync history in Census, and wait for one more run before you change anything.

        SHOWN IN NOTICES
        access denied, invalid token

        More: syncwatch explain missing-permission. Wrong class? Report it as one line: tests/fixtures/errors/README.md
        ");
    }

    #[test]
    fn message_is_read_from_standard_input() {
        let found = classified("-", "QUERY_TIMEOUT: \u{0} too long".as_bytes()).unwrap();
        assert_eq!((found.class, found.family), (ErrorClass::QueryTimeout, Family::Timeout));
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!((&json["class"], &json["family"]), (&"query-timeout".into(), &"timeout".into()));
        assert!(classified("-", [0xff, 0xfe].as_slice()).is_ok());
        assert!(of(" ").starts_with("no message to classify; paste"), "{}", of(" "));
    }
}
