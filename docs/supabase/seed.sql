-- Fictional items of fictional creators, who are also in plugins/data/creators.csv: 120 of each, from January 2026 on,
-- several on one day and some at the same time.

insert into public.content (creator_url, creator_name, title, url, type, posted_at)
select
    'https://creators.example/' || creator.page,
    creator.name,
    (array['Misty', 'Second', 'Borrowed', 'Quiet', 'Golden'])[1 + number % 5] || ' '
        || (array['harbour lights', 'kitchen table', 'river stones', 'studio tour'])[1 + number % 4] || ' ' || number,
    'https://media.example/' || creator.page || '/' || lpad(number::text, 3, '0'),
    case when number % 3 = 0 then 'video' else 'picture' end,
    timestamptz '2026-01-01 00:00:00+00' + make_interval(days => number / 4, hours => number % 4 / 2)
from
    (values ('luna-marlowe', 'Luna Marlowe'), ('jarek-orchard', 'Jarek Orchard')) as creator (page, name),
    generate_series(1, 120) as number;
