-- Checks schema.sql: the bot's role can only read, and each request of the plugin reads one range of an index, also
-- among 50,000 items. Everything is rolled back at the end. Run it as the table's owner:
--   psql -v ON_ERROR_STOP=1 -f docs/supabase/check.sql
-- The queries are those that PostgREST makes of the plugin's requests (plugins/content/src/remote.rs).

begin;

insert into public.content (creator_url, creator_name, title, url, type, posted_at)
select
    'https://check.example/' || number % 2, 'Check ' || number % 2, 'Item ' || number,
    'https://media.example/' || number, case when number % 3 = 0 then 'video' else 'picture' end,
    timestamptz '2026-01-01 00:00:00+00' + make_interval(days => number % 168, secs => number % 4)
from generate_series(1, 50000) as number;
analyze public.content;

create function pg_temp.plan(question text) returns text language plpgsql as $$
declare
    line text;
    plan text := '';
begin
    for line in execute 'explain (analyze, costs off, timing off, summary off) ' || question loop
        plan := plan || line || E'\n';
    end loop;
    raise notice E'%\n%', question, plan;
    return plan;
end $$;

set local role anon;

do $$
declare
    newest constant text := ' order by posted_at desc, id desc limit 10';
    whose constant text := $q$select id, title, url, type, posted_at from public.content
        where creator_url = 'https://check.example/1'$q$;
    after constant text := $q$ and posted_at <= '2026-03-01T00:00:01+00:00'
        and (posted_at < '2026-03-01T00:00:01+00:00' or (posted_at = '2026-03-01T00:00:01+00:00' and id < '30000'))$q$;
    question text;
    statement text;
begin
    assert (select count(*) from public.content where creator_url = 'https://check.example/1') = 25000;
    foreach question in array array[
        whose || newest,
        whose || after || newest,
        whose || $q$ and posted_at >= '2026-02-01' and posted_at < '2026-03-01'$q$ || newest,
        whose || $q$ and type = 'video' and title ilike '%77%'$q$ || newest
    ] loop
        assert pg_temp.plan(question) like '%Index Scan using content_by_creator_url%', question;
    end loop;
    assert pg_temp.plan(whose || after || newest) like '%Index Cond:%posted_at%', 'a page begins at its range';
    foreach statement in array array[
        'insert into public.content (creator_url, creator_name, url, type) values (''https://a'', ''a'', ''https://a'', ''video'')',
        'update public.content set title = ''x''',
        'delete from public.content',
        'truncate public.content'
    ] loop
        begin
            execute statement;
            assert false, 'the bot may ' || statement;
        exception when insufficient_privilege then
            raise notice 'refused: %', statement;
        end;
    end loop;
end $$;

rollback;
