"""The SQL database: schema, migrations, one writer, and one repository per aggregate."""
