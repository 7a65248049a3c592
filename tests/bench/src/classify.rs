//! Measures how long it takes to classify and scrub vendor errors, from a line to a megabyte.

use std::hint::black_box;
use std::time::Instant;

use syncwatch::classify::{classify_text, scrub};

use crate::report::{Report, Spread};

const ROUNDS: usize = 20;
/// The size of each text, in bytes.
const MEGABYTE: usize = 1 << 20;

pub(crate) fn measure(report: &mut Report) {
    report.part("Vendor errors: class and scrubbed text");
    // The first call in a process reads the lists.
    let first = Instant::now();
    black_box(classify_text("UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record"));
    report.line(&format!(
        "first call of a process, which reads the lists: {:.2} ms",
        first.elapsed().as_secs_f64() * 1e3
    ));
    let line = "INVALID_FIELD:Foreign key external ID: 0712 not found for field Billing_Id__c in entity Account:Billing_Id__c --";
    report.line(&format!("one line: {:.3} ms", milliseconds(line).median));
    let texts = [
        ("1 MB of words", "the request timed out before the column was found. "),
        ("1 MB of open quotes", "\u{ab}\""),
        ("1 MB of values", "a=b, value: "),
        ("1 MB of addresses", "ann@example.com "),
        ("1 MB of codes", "A_B.C::D[E]: "),
        ("1 MB of digits", "4155 550 "),
    ];
    for (name, part) in texts {
        let text = part.repeat(MEGABYTE / part.len());
        let took = milliseconds(&text).median;
        report.goal(name, &format!("{took:.2} ms"), "< 10 ms", took < 10.0);
    }
}

fn milliseconds(text: &str) -> Spread {
    Spread::of((0..ROUNDS).map(|_| {
        let begun = Instant::now();
        black_box((classify_text(black_box(text)), scrub(black_box(text))));
        begun.elapsed().as_secs_f64() * 1e3
    }))
}
