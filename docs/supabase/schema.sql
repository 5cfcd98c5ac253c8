-- The table that the content plugin reads from a Supabase project, hosted or your own.
-- Run it once, in the SQL editor or with psql. The bot's key has the role `anon`.

create table public.content (
    id bigint generated always as identity primary key,
    -- The creator's page, exactly as in the catalogue: items are found by it.
    creator_url text not null check (creator_url ~ '^https?://'),
    creator_name text not null check (creator_name <> ''),
    title text not null default '',
    url text not null check (url ~ '^https?://'),
    type text not null check (type in ('picture', 'video')),
    posted_at timestamptz not null default now() check (isfinite(posted_at))
);

-- A creator's items are read newest first, from the newest or from the last one shown, and counted. Both read one range
-- of these indexes. Type and text are filtered within that range.
create index content_by_creator_url on public.content (creator_url, posted_at desc, id desc);
create index content_by_creator_name on public.content (creator_name, posted_at desc, id desc);

-- A Supabase project grants new tables to all its roles. Here only the bot's role may read, and nobody may write.
alter table public.content enable row level security;
revoke all on public.content from public, anon, authenticated;
grant usage on schema public to anon;
grant select on public.content to anon;
create policy "the bot reads" on public.content for select to anon using (true);

-- Makes PostgREST reload the schema.
notify pgrst, 'reload schema';
