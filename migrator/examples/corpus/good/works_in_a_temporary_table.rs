//! Scratch data of a back-fill.

use crate::add;

up!(manager => {
    add::column(manager, "record", "place", "INTEGER NULL").await?;
    crate::run(manager, "CREATE TEMP TABLE places AS SELECT id, row_number() OVER (ORDER BY title, id) AS place FROM record").await?;
    crate::run(manager, "CREATE UNIQUE INDEX temp.places_id ON places (id)").await?;
    crate::run(manager, "UPDATE record SET place = (SELECT place FROM temp.places WHERE places.id = record.id) WHERE place IS NULL").await?;
    crate::run(manager, "DROP TABLE temp.places").await
});
