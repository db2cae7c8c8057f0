//! The values of all parameters, each from the first place that has it.

use super::environment::Environment;
use super::parameter::{Origin, PARAMETERS, Value};
use super::service;
use crate::conninfo;
use crate::error::Result;

/// What is known of a connection before anything of it is understood, at most one value for each parameter.
pub(crate) struct Settings(Vec<Value>);

impl Settings {
    /// Collects values: the connection string's, then those of a service, then the environment's.
    // fe-connect.c: conninfo_add_defaults
    pub(crate) fn read(text: &str, environment: &Environment) -> Result<Self> {
        let given = conninfo::parse(text)?.into_iter();
        let mut settings = Self(
            given
                .map(|(name, text)| Value {
                    name,
                    text,
                    origin: Origin::Text,
                })
                .collect(),
        );
        let service = match settings.find("service") {
            Some(value) => Some(value.text.clone()),
            None => environment.variable("PGSERVICE")?.map(str::to_owned),
        };
        if let Some(service) = service {
            for value in service::read(&service, environment)? {
                settings.add(value);
            }
        }
        for (name, variable) in PARAMETERS {
            if settings.find(name).is_none()
                && let Some(variable) = variable
                && let Some(text) = environment.variable(variable)?
            {
                settings.add(Value {
                    name,
                    text: text.to_owned(),
                    origin: Origin::Variable(variable),
                });
            }
        }
        if settings.find("sslmode").is_none() {
            settings.default_sslmode(environment)?;
        }
        Ok(settings)
    }

    /// The value that a parameter has, be it empty.
    pub(crate) fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|value| value.name == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }

    fn add(&mut self, value: Value) {
        if self.find(value.name).is_none() {
            self.0.push(value);
        }
    }

    /// Certificates of the system are no use without a look at the name in them, so they change the default.
    fn default_sslmode(&mut self, environment: &Environment) -> Result<()> {
        const REQUIRE: &str = "PGREQUIRESSL";
        let require = environment.variable(REQUIRE)?;
        let (text, origin) = if require.is_some_and(|value| value.starts_with('1')) {
            ("require", Origin::Variable(REQUIRE))
        } else if let Some(roots) = self.find("sslrootcert")
            && roots.text == "system"
        {
            ("verify-full", roots.origin.clone())
        } else {
            return Ok(());
        };
        self.add(Value {
            name: "sslmode",
            text: text.into(),
            origin,
        });
        Ok(())
    }
}
