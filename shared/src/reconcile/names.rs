//! Names of fields in Salesforce, and of their columns in a copy.

/// Reduces a name to its letters and digits, in lower case, by which a field of Salesforce and its column in the copy are matched.
///
/// Fivetran writes a column in lower snake case with single underscores (`CompanyName__c` => `company_name_c`), or leaves the
/// name as it is. Where it splits digits and capitals in a row is not documented, so underscores do not count. Fields whose
/// names differ in nothing else are taken for one.
pub fn bare_name(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
