//! Why a run failed or records were refused, in words for people: by class, and with what vendors say scrubbed of
//! customers' values.

use crate::classify::{CLASS_FIGURE, ErrorClass, Tally, classify, classify_record, identifiers, scrub};
use crate::figure::Figure;
use crate::observation::{Run, Samples};

/// The class of a failure with the evidence for it.
pub(super) struct Reason {
    pub(super) class: ErrorClass,
    /// Figures for the evidence, in the order in which people read them.
    pub(super) figures: Vec<Figure>,
    /// The likely cause, the vendor's words and what helps.
    pub(super) cause: String,
}

/// Why a run failed, as far as it says.
pub(super) fn of_run(run: &Run) -> Reason {
    let error = run.error.clone().unwrap_or_default();
    let class = classify(&error);
    let mut figures = vec![Figure::new(CLASS_FIGURE, class.id())];
    let code = error.code.map(|code| scrub(&code)).filter(|code| !code.is_empty());
    if let Some(code) = &code {
        figures.push(Figure::new("error code", code));
    }
    let words = error.message.or(error.detail).map(|text| scrub(&text)).filter(|words| !words.is_empty());
    let cause = match (&words, &code) {
        (None, None) => "Census gave no reason; its sync history may".to_owned(),
        _ => cause(class, "Census says", words),
    };
    Reason { class, figures, cause }
}

/// Why records did not arrive, as far as samples say; `None` if there are none.
pub(super) fn of_samples(samples: &Samples) -> Option<Reason> {
    let records = &samples.records;
    let tally = Tally::of(records);
    let class = tally.largest()?;
    let of_class = || records.iter().filter(|record| classify_record(record) == class);
    let mut figures = vec![
        Figure::new(CLASS_FIGURE, class.id()),
        Figure::new("samples", tally.to_string()),
        Figure::new("sampled run", samples.run.to_string()),
    ];
    if let Some(identifiers) = identifiers(of_class()) {
        figures.push(Figure::new("records", identifiers));
    }
    let mut words = of_class().filter_map(|record| record.message.as_deref()).map(scrub);
    let cause = cause(class, "A record says", words.find(|words| !words.is_empty()));
    Some(Reason { class, figures, cause })
}

fn cause(class: ErrorClass, who: &str, words: Option<String>) -> String {
    let said = words.map_or(String::new(), |words| {
        let stop = if words.ends_with(['.', '!', '?', '…']) { "" } else { "." };
        format!(" {who}: {words}{stop}")
    });
    format!("{}.{said} What helps: {}", class.cause(), class.remedy())
}
