//! Converts parameters for ODBC.

use odbc_api::parameter::{InputParameter, VarCharBox, VarWCharBox, WithDataType};
use odbc_api::{Bit, DataType, IntoParameter, Nullable};
use widestring::Utf16String;

use crate::sql::{Decimal, Dialect, Parameter, ParameterValue, civil_utc};
use crate::warehouse::settings::{OdbcSettings, TextEncoding};

/// Returns the value of each `?`, with its type for the engine.
///
/// SQLite has no dates and no exact numbers: there, dates and instants are text that sorts by time, and a decimal is a
/// number, as text is greater than every number.
pub(super) fn parameters(values: &[&Parameter], settings: &OdbcSettings) -> Vec<Box<dyn InputParameter>> {
    values.iter().map(|parameter| parameter_of(&parameter.value, settings)).collect()
}

fn parameter_of(value: &ParameterValue, settings: &OdbcSettings) -> Box<dyn InputParameter> {
    let sqlite = settings.dialect == Dialect::Sqlite;
    match value {
        ParameterValue::Text(value) => text(value.as_deref(), settings.encoding),
        ParameterValue::Integer(value) => Box::new(value.into_parameter()),
        ParameterValue::Double(value) => Box::new(value.into_parameter()),
        ParameterValue::Boolean(value) => {
            Box::new(value.map_or_else(Nullable::null, |value| Nullable::new(Bit::from_bool(value))))
        }
        ParameterValue::Decimal(value) if sqlite => {
            let number: Option<f64> = value.as_ref().and_then(|number| number.as_str().parse().ok());
            Box::new(number.into_parameter())
        }
        ParameterValue::Decimal(value) => {
            let (precision, scale) = value.as_ref().map_or((1, 0), Decimal::precision_and_scale);
            let scale = i16::try_from(scale).unwrap_or(i16::MAX);
            typed(
                value.as_ref().map(|number| number.as_str().to_owned()),
                DataType::Numeric { precision, scale },
            )
        }
        ParameterValue::Date(value) => {
            let date = value.map(|date| date.to_string());
            if sqlite { text(date.as_deref(), TextEncoding::Narrow) } else { typed(date, DataType::Date) }
        }
        ParameterValue::Timestamp(value) => {
            let instant = value.map(civil_utc);
            if sqlite {
                text(instant.as_deref(), TextEncoding::Narrow)
            } else {
                typed(instant, DataType::Timestamp { precision: 6 })
            }
        }
    }
}

fn text(value: Option<&str>, encoding: TextEncoding) -> Box<dyn InputParameter> {
    match (value, encoding) {
        (Some(value), TextEncoding::Narrow) => Box::new(VarCharBox::from_string(value.to_owned())),
        (None, TextEncoding::Narrow) => Box::new(VarCharBox::null()),
        (Some(value), TextEncoding::Wide) => {
            Box::new(VarWCharBox::from_utf16_string(Utf16String::from_str(value)))
        }
        (None, TextEncoding::Wide) => Box::new(VarWCharBox::null()),
    }
}

/// Binds text of digits and signs only, for which the encoding does not matter.
fn typed(value: Option<String>, data_type: DataType) -> Box<dyn InputParameter> {
    let value = value.map_or_else(VarCharBox::null, VarCharBox::from_string);
    Box::new(WithDataType::new(value, data_type))
}
