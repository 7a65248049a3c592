//! The columns of a row that is written and read as a whole. Pure.

use super::{Error, FromValue, ParameterValue, Row};

/// Unreadable columns, with the error of each.
pub type Unreadable = Vec<(&'static str, Error)>;

/// One column, or a group of columns.
pub trait Columns: Sized {
    /// Lists the names in the order of the table. A single column has the given `name`.
    fn names(name: &'static str) -> Vec<&'static str>;
    /// Lists the values in the same order.
    fn values(&self) -> Vec<ParameterValue>;
    /// Reads the columns. An unreadable one gets its default, and its error is added to `unreadable`.
    fn read(name: &'static str, row: &Row<'_>, unreadable: &mut Unreadable) -> Self;
}

impl<T: FromValue + Into<ParameterValue> + Clone + Default> Columns for T {
    fn names(name: &'static str) -> Vec<&'static str> {
        vec![name]
    }

    fn values(&self) -> Vec<ParameterValue> {
        vec![self.clone().into()]
    }

    fn read(name: &'static str, row: &Row<'_>, unreadable: &mut Unreadable) -> Self {
        row.get(name).unwrap_or_else(|error| {
            unreadable.push((name, error));
            Self::default()
        })
    }
}

/// Declares a struct of columns. A line is `field: Type` or `field "column": Type`, in the order of the table. A line
/// `@column = value` is a constant column, which is written and not read back.
#[macro_export]
macro_rules! columns {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $(
        $(@ $constant:ident = $value:expr,)*
        $(#[$doc:meta])* $field:ident $($column:literal)?: $type:ty,
    )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        $vis struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl $crate::sql::Columns for $name {
            fn names(_: &'static str) -> Vec<&'static str> {
                [$(
                    $(vec![stringify!($constant)],)*
                    <$type as $crate::sql::Columns>::names($crate::columns!(@name $field $($column)?)),
                )*].concat()
            }

            fn values(&self) -> Vec<$crate::sql::ParameterValue> {
                [$($(vec![$value.into()],)* $crate::sql::Columns::values(&self.$field),)*].concat()
            }

            fn read(_: &'static str, row: &$crate::sql::Row<'_>, unreadable: &mut $crate::sql::Unreadable) -> Self {
                Self { $($field: $crate::sql::Columns::read($crate::columns!(@name $field $($column)?), row, unreadable),)* }
            }
        }
    };
}
