-- A family, beside what the newest release's database has already. It was written for the schema of 0.5.0, whose inserts every later
-- schema takes; the app folds the records at its start, as it does those of an older version. Days count from today.
BEGIN;

INSERT INTO user (name, email, role, created_at, updated_at) VALUES
    ('Chloé Dubois', 'chloe@example.org', 'admin', '2026-01-02T09:00:00.000Z', '2026-01-02T09:00:00.000Z'),
    ('Ben Okafor', 'ben@example.org', 'member', '2026-01-02T09:05:00.000Z', '2026-01-02T09:05:00.000Z'),
    ('مريم حداد', 'maryam@example.org', 'member', '2026-01-03T18:00:00.000Z', '2026-01-03T18:00:00.000Z'),
    ('小明', 'xiaoming@example.org', 'guest', '2026-02-10T07:30:00.000Z', '2026-02-10T07:30:00.000Z'),
    ('Old flatmate', 'flatmate@example.org', 'member', '2025-06-01T12:00:00.000Z', '2026-01-31T12:00:00.000Z');
UPDATE user SET disabled = 1 WHERE email = 'flatmate@example.org';

CREATE TEMP TABLE sample (number INTEGER PRIMARY KEY, owner, visibility, category, title, notes, due);
INSERT INTO sample (owner, visibility, category, title, notes, due) VALUES
    ('owner', 'household', 'Home', 'Boiler service', 'Engineer: 0161 496 0000. Ask about the pressure valve.', '+3 days'),
    ('owner', 'household', 'Insurance', 'Home insurance', 'Policy HH-2041-77. The excess is 250.', '+26 days'),
    ('owner', 'private', 'Presents', 'Birthday present for Ben', 'The blue one, not the green one.', '+9 days'),
    ('owner', 'private', '', 'Passport', 'In the drawer under the printer.', '+400 days'),
    ('chloe@example.org', 'household', 'École', 'Inscription à la cantine', 'Formulaire à rendre avant la rentrée.', '-2 days'),
    ('chloe@example.org', 'household', 'Voiture', 'Contrôle technique', 'Garage Lefèvre, à l’angle de la rue de l’Église.', '+60 days'),
    ('chloe@example.org', 'private', 'Santé', 'Rendez-vous chez le dentiste', '', '+14 days'),
    ('ben@example.org', 'household', 'Home', 'Washing machine warranty', 'Serial number WM-88-1234. Receipt in the blue folder.', '+700 days'),
    ('ben@example.org', 'private', 'Money', 'Tax return', '1. payslips
2. interest
3. donations', '+1 day'),
    ('maryam@example.org', 'household', 'وثائق', 'تجديد جواز السفر', 'الموعد في القنصلية صباحاً.', '+35 days'),
    ('maryam@example.org', 'private', 'صحة', 'وصفة الدواء', '', NULL),
    ('xiaoming@example.org', 'household', '家', '暖气检修', '每年冬天之前检修一次。', '+90 days'),
    ('ben@example.org', 'household', 'Garten', 'Regentonne ausleeren', 'Vor dem ersten Frost!', '+21 days'),
    ('owner', 'household', 'Дом', 'Поверка счётчиков воды', 'Акт лежит в синей папке.', '+180 days'),
    ('owner', 'household', 'Home', 'Smoke alarms: new batteries 🔋', 'Kitchen, hall, both bedrooms.', '+0 days');

INSERT INTO record (title, category, notes, due_date, created_at, updated_at, owner_id, visibility)
SELECT title, category, notes, date('now', due),
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-30 days', number || ' hours'),
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || number || ' minutes'),
    (SELECT id FROM user WHERE email = sample.owner OR role = sample.owner), visibility
FROM sample ORDER BY number;
DROP TABLE sample;

COMMIT;
