//! Explains failed runs and rejected records to people: by class, with the vendor's message scrubbed of customers' values.

use crate::classify::{
    CERTAINTY_FIGURE, CLASS_FIGURE, Classification, ErrorClass, Tally, classify, classify_record,
    identifiers, scrub,
};
use crate::figure::Figure;
use crate::observation::{Run, Samples};

/// The class of a failure with the evidence for it.
pub(super) struct Reason {
    pub(super) class: ErrorClass,
    pub(super) is_sure: bool,
    /// Figures for the evidence, in reading order.
    pub(super) figures: Vec<Figure>,
    /// The likely cause, the vendor's message and the remedy.
    pub(super) cause: String,
}

/// Classifies the failure of a run by its error.
pub(super) fn of_run(run: &Run) -> Reason {
    let error = run.error.clone().unwrap_or_default();
    let found = classify(&error);
    let class = found.class;
    let mut figures = figures(&found);
    let code = error.code.map(|code| scrub(&code)).filter(|code| !code.is_empty());
    if let Some(code) = &code {
        figures.push(Figure::new("error code", code));
    }
    let words = error.message.or(error.detail).map(|text| scrub(&text)).filter(|words| !words.is_empty());
    let cause = match (&words, &code) {
        (None, None) => "Census gave no reason; check its sync history".to_owned(),
        _ => cause(&found, "Census's message", words),
    };
    Reason { class, is_sure: found.is_sure(), figures, cause }
}

/// Classifies rejected records by their samples; `None` if there are none.
pub(super) fn of_samples(samples: &Samples) -> Option<Reason> {
    let records = &samples.records;
    let found: Vec<Classification> = records.iter().map(classify_record).collect();
    let tally = Tally::of(&found.iter().map(|found| found.class).collect::<Vec<_>>());
    let class = tally.largest()?;
    let of_class = || records.iter().zip(&found).filter(|(_, found)| found.class == class);
    let (_, surest) = of_class().max_by_key(|(_, found)| found.certainty)?;
    let mut figures = figures(surest);
    figures.push(Figure::new("samples", tally.to_string()));
    figures.push(Figure::new("sampled run", samples.run.to_string()));
    if let Some(identifiers) = identifiers(of_class().map(|(record, _)| record)) {
        figures.push(Figure::new("records", identifiers));
    }
    let mut words = of_class().filter_map(|(record, _)| record.message.as_deref()).map(scrub);
    let cause = cause(surest, "Record message", words.find(|words| !words.is_empty()));
    Some(Reason { class, is_sure: surest.is_sure(), figures, cause })
}

/// The class, and its certainty if it is a guess.
fn figures(found: &Classification) -> Vec<Figure> {
    let mut figures = vec![Figure::new(CLASS_FIGURE, found.class.id())];
    if !found.is_sure() && found.class != ErrorClass::Unknown {
        figures.push(Figure::new(CERTAINTY_FIGURE, found.certainty.to_string()));
    }
    figures
}

/// The likely cause, the vendor's message, and the remedy. A guess gives no specific remedy: it names the likely classes.
fn cause(found: &Classification, label: &str, words: Option<String>) -> String {
    let message = words.map_or(String::new(), |words| {
        let stop = if words.ends_with(['.', '!', '?', '…']) { "" } else { "." };
        format!(" {label}: {words}{stop}")
    });
    let class = if found.is_sure() { found.class } else { ErrorClass::Unknown };
    let likely = found.guess().map_or_else(String::new, |likely| format!(" {likely}"));
    format!("{}.{message}{likely} Remedy: {}", class.cause(), class.remedy())
}
