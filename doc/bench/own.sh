#!/bin/sh
# Measures purchase on your own hardware, with your own table, beside a bare UPDATE and
# beside SELECT ... FOR UPDATE and UPDATE: many products and one product, in alternating
# runs, with durable commits.  Prints lines as those of doc/benchmarks.md.
#
#     PGHOST=staging PGDATABASE=shop sh own.sh shop_product
#
# It needs psql, pgbench, and the extension with the table attached; and a role that may
# read the table and create a schema.  Run it on a server that nobody else uses, from
# where your programs run.  With the defaults it takes four minutes.
#
# Your table is only read.  All is sold from a copy, purchase_bench.product, which is
# dropped at the end.  The copy has the table's columns, indexes, CHECKs and storage
# parameters, and an empty table for each foreign key that references it.  It has not the
# rows above PRODUCTS, row security, or foreign keys of its own; and its triggers only if
# you ask for them, as what they do to other tables stays.
#
# CLIENTS=8         at a time
# SECONDS_EACH=5    length of a run
# ROUNDS=5          runs of each
# PRODUCTS=100000   rows to copy, at most
# STOCK=...         units of each in the copy, if a CHECK does not allow a billion
# TRIGGERS=1        with your triggers: they fire with each sale
set -eu

usage() {
	echo "usage: sh own.sh STOCK_TABLE    (the comment at its top tells more)" >&2
	exit 2
}

[ $# = 1 ] || usage
table=$1
clients=${CLIENTS:-8}
seconds=${SECONDS_EACH:-5}
rounds=${ROUNDS:-5}
# A script sells so many times, as to look up random keys takes a statement.
batch=20
export LC_ALL=C
threads=$(getconf _NPROCESSORS_ONLN)
[ "$threads" -le "$clients" ] || threads=$clients
options="${PGOPTIONS:-} -c synchronous_commit=on -c plan_cache_mode=force_generic_plan"
created=
tmp=$(mktemp -d)

sql() {
	PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning" psql -XAtq -F ' ' \
		-v ON_ERROR_STOP=1 -v table="$table" -v products="${PRODUCTS:-100000}" \
		-v stock="${STOCK:-}" -v triggers="${TRIGGERS:-}" "$@"
}

die() {
	echo "$*" >&2
	exit 1
}

clean_up() {
	status=$?
	trap - EXIT
	rm -rf "$tmp"
	[ ! "$created" ] || sql <<-END >/dev/null
		SELECT $extension.purchase_detach(stock_table) FROM $extension.purchase_stock_tables
		    WHERE stock_table = to_regclass('purchase_bench.product');
		DROP SCHEMA IF EXISTS purchase_bench CASCADE;
	END
	exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

extension=$(sql <<'END'
SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace
    WHERE extname = 'purchase';
END
)
[ "$extension" ] || die "The extension is not in this database: CREATE EXTENSION purchase."
[ "$(sql <<'END'
SELECT count(*) FROM pg_namespace WHERE nspname = 'purchase_bench';
END
)" = 0 ] || die "There is a schema purchase_bench, perhaps of a run that was killed:" \
	"SELECT purchase_detach('purchase_bench.product'); DROP SCHEMA purchase_bench CASCADE;"

# The copy, and what the scripts need to know of it, in lines.
created=yes
sql <<END >"$tmp/table"
BEGIN;
SELECT attached::oid AS oid, quote_ident(key_column) AS key, quote_ident(stock_column) AS stock_column,
       engine, coalesce(relkind = 'r' AND NOT relhassubclass AND stock_table IS NOT NULL, false) AS ordinary
    FROM (VALUES (:'table'::regclass)) AS v (attached)
    LEFT JOIN $extension.purchase_stock_tables ON stock_table = attached
    LEFT JOIN pg_class AS c ON c.oid = attached \gset
\if :ordinary
\else
DO \$\$ BEGIN RAISE 'Only an ordinary table that is attached can be measured.'; END \$\$;
\endif
SELECT format_type(k.atttypid, k.atttypmod) AS key_type,
       CASE WHEN k.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN 'bigint'
            WHEN k.atttypid = 'uuid'::regtype THEN 'uuid' ELSE 'text' END AS argument_type,
       coalesce(nullif(:'stock', '')::bigint,
                CASE 'smallint'::regtype WHEN t.oid THEN 30000 WHEN t.typbasetype THEN 30000
                    ELSE 1000000000 END) AS units
    FROM pg_attribute AS k, pg_attribute AS s JOIN pg_type AS t ON t.oid = s.atttypid
    WHERE k.attrelid = :oid AND quote_ident(k.attname) = :'key'
      AND s.attrelid = :oid AND quote_ident(s.attname) = :'stock_column' \gset

CREATE SCHEMA purchase_bench;
SELECT format('CREATE TABLE purchase_bench.product (LIKE %s INCLUDING ALL) %s', :oid::regclass,
              'WITH (' || array_to_string(reloptions, ', ') || ')')
    FROM pg_class WHERE oid = :oid \gexec
SELECT format('INSERT INTO purchase_bench.product (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s LIMIT %s',
              string_agg(name, ', '),
              string_agg(CASE name WHEN :'stock_column' THEN :'units' ELSE name END, ', '),
              :oid::regclass, :products)
    FROM (SELECT quote_ident(attname) AS name FROM pg_attribute
          WHERE attrelid = :oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
          ORDER BY attnum) AS columns \gexec
SELECT format('CREATE TABLE purchase_bench.line_%s (%s, FOREIGN KEY (%s) REFERENCES purchase_bench.product (%4\$s))',
              row_number() OVER (), of_column.definitions, of_column.names, of_column.referenced)
    FROM pg_constraint,
    LATERAL (SELECT string_agg(format('c%s %s%s', n, format_type(atttypid, atttypmod),
                                      ' COLLATE ' || nullif(attcollation, 0)::regcollation), ', ') AS definitions,
                    string_agg('c' || n, ', ') AS names,
                    string_agg(quote_ident(attname), ', ') AS referenced
             FROM unnest(confkey) WITH ORDINALITY AS u (attnum, n)
             JOIN pg_attribute AS a USING (attnum) WHERE attrelid = :oid) AS of_column
    WHERE contype = 'f' AND confrelid = :oid AND conparentid = 0 \gexec
CREATE TEMP VIEW own_trigger AS
    SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger
    WHERE tgrelid = :oid AND NOT tgisinternal AND tgenabled IN ('O', 'A')
      AND tgname NOT LIKE '~purchase\_guard\_%';
SELECT overlay(definition PLACING ' ON purchase_bench.product ' FROM position(at IN definition) FOR length(at))
    FROM own_trigger,
    (SELECT format(' ON %I.%I ', nspname, relname) AS at
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid = :oid) AS place
    WHERE :'triggers' = '1' \gexec

-- What the clients pick from, what they were told, and what comes out.
CREATE TABLE purchase_bench.pick (n integer PRIMARY KEY, key text NOT NULL);
SELECT format('INSERT INTO purchase_bench.pick SELECT row_number() OVER (), %s FROM purchase_bench.product', :'key') \gexec
CREATE UNLOGGED TABLE purchase_bench.tally (sold bigint, missed bigint);
CREATE TABLE purchase_bench.run (trio integer, workload text, name text, sold bigint, seconds float8);
SELECT $extension.purchase_attach('purchase_bench.product', stock_column => s.attname, key_column => k.attname,
                                  is_default => false) IS NULL AS attached
    FROM pg_attribute AS k, pg_attribute AS s
    WHERE k.attrelid = :oid AND quote_ident(k.attname) = :'key'
      AND s.attrelid = :oid AND quote_ident(s.attname) = :'stock_column' \gset
COMMIT;
VACUUM ANALYZE purchase_bench.product, purchase_bench.pick;
SELECT count(*) AS rows FROM purchase_bench.product \gset
SELECT engine AS engine_here FROM $extension.purchase_stock_tables
    WHERE stock_table = 'purchase_bench.product'::regclass \gset
SELECT count(*) AS left_out FROM own_trigger WHERE :'triggers' <> '1' \gset
\qecho :key
\qecho :stock_column
\qecho :key_type
\qecho :argument_type
\qecho :units
\qecho :rows
\qecho :engine :engine_here
\qecho :left_out
END
{
	read -r key
	read -r stock
	read -r key_type
	read -r argument_type
	read -r units
	read -r rows
	read -r engine engine_here
	read -r left_out
} <"$tmp/table"
[ "$rows" -gt 0 ] || die "There is no product in $table."
[ "$left_out" = 0 ] || echo "Left out: triggers, $left_out. TRIGGERS=1 takes them along."
[ "$engine" = "$engine_here" ] || echo "Beware: the $engine engine serves your table, the $engine_here engine its copy."

# Each script picks products, sells one unit of each, and writes down what it was told.
# Who does not wait for a busy product goes on with the next.
write_script() {
	name=$1
	i=0
	while [ $((i += 1)) -le $batch ]; do
		printf '\\set n%d random(:lo, :hi)\n' $i
	done
	printf 'SELECT '
	i=0
	while [ $((i += 1)) -le $batch ]; do
		[ $i = 1 ] || printf ', '
		printf '(SELECT key FROM purchase_bench.pick WHERE n = :n%d) AS k%d' $i $i
	done
	printf ' \\gset\n\\set sold 0\n\\set missed 0\n'
	i=0
	while [ $((i += 1)) -le $batch ]; do
		write_sale $i
	done
	echo 'INSERT INTO purchase_bench.tally VALUES (:sold, :missed);'
}

write_sale() {
	case $name in
	purchase*)
		cat <<-END
			SELECT (outcome = 'sold')::integer AS now, (outcome <> 'sold')::integer AS not_now
			    FROM $extension.purchase_try(:k$1::$argument_type, 1, 'purchase_bench.product') \\gset
			\\set sold :sold + :now
			\\set missed :missed + :not_now
		END
		;;
	update)
		cat <<-END
			\\set now 0
			UPDATE purchase_bench.product SET $stock = $stock - 1
			    WHERE $key = :k$1::$key_type AND $stock >= 1 RETURNING 1 AS now \\aset
			\\set sold :sold + :now
			\\set missed :missed + 1 - :now
		END
		;;
	# NOWAIT raises what busy is, at which pgbench ends before version 19.  SKIP LOCKED
	# costs a little less, as nothing is raised.
	for_update)
		cat <<-END
			\\set units 0
			BEGIN;
			SELECT $stock AS units FROM purchase_bench.product
			    WHERE $key = :k$1::$key_type FOR UPDATE SKIP LOCKED \\aset
			\\if :units >= 1
			UPDATE purchase_bench.product SET $stock = :units - 1 WHERE $key = :k$1::$key_type;
			COMMIT;
			\\set sold :sold + 1
			\\else
			ROLLBACK;
			\\set missed :missed + 1
			\\endif
		END
		;;
	esac
}

for script in purchase update for_update; do
	write_script $script >"$tmp/$script"
done

stock_now() {
	sql -c "SELECT sum($stock) FROM purchase_bench.product"
}

trio=0
runs=0
sales=0

# run WORKLOAD NAME CLIENTS
run() {
	lo=1
	hi=$rows
	[ "$1" != hot ] || hi=1
	sql -c "TRUNCATE purchase_bench.tally" \
		-c "UPDATE purchase_bench.product SET $stock = $units WHERE $stock < $units / 2" \
		-c 'VACUUM purchase_bench.product'
	before=$(stock_now)
	case $2 in
	purchase_try) settings='-c purchase.lock_wait=0' ;;
	purchase_early) settings='-c purchase.lock_wait=-1 -c purchase.early_release=on' ;;
	*) settings='-c purchase.lock_wait=-1' ;;
	esac
	PGOPTIONS="$options $settings" pgbench -n -M prepared -c "$3" \
		-j $(($3 < threads ? $3 : threads)) -T "$seconds" -D lo=$lo -D hi="$hi" \
		-f "$tmp/${2%%_[twe]*}" >"$tmp/log" 2>&1 || {
		cat "$tmp/log" >&2
		die "pgbench failed: $1, $2."
	}
	took=$(awk '/^number of transactions actually/ { n = $NF; sub(".*/", "", n) }
		/^tps = / { print n / $3 }' "$tmp/log")
	tally=$(sql -c 'SELECT sum(sold), sum(missed) FROM purchase_bench.tally')
	sold=${tally% *}
	gone=$((before - $(stock_now)))
	[ "$sold" = $gone ] ||
		die "$1, $2: $sold units were sold, and $gone are gone from the stock."
	case $1,$2,${tally#* } in
	*,purchase_try,* | *,for_update,* | *,0) ;;
	*) die "$1, $2: ${tally#* } were not sold, as there was too little: try STOCK=... or shorter runs." ;;
	esac
	runs=$((runs + 1))
	sales=$((sales + sold))
	sql -c "INSERT INTO purchase_bench.run VALUES ($trio, '$1', '$2', $sold, $took)"
}

echo "$table: $rows products, $rounds rounds of eight runs, $seconds s each"
run alone purchase 1
round=0
while [ $((round += 1)) -le "$rounds" ]; do
	for names in 'cold update purchase for_update' 'hot purchase_wait update purchase_early' \
		'hot purchase_try for_update'; do
		trio=$((trio + 1))
		# shellcheck disable=SC2086
		set -- $names
		# Who is first alternates, and what is compared stays side by side.
		if [ $((round % 2)) = 0 ]; then
			set -- "$1" ${4:+"$4"} "$3" "$2"
		fi
		workload=$1
		shift
		for name; do
			run "$workload" "$name" "$clients"
		done
	done
done

sql -v clients="$clients" -v extension="$extension" <<'END'
\echo
\echo '| purchase is, times as fast as | sold/s | bare UPDATE | SELECT FOR UPDATE, UPDATE |'
\echo '|---|--:|--:|--:|'
\pset fieldsep ''
WITH rate AS (SELECT *, sold / seconds AS rate FROM purchase_bench.run),
ratio AS (
    SELECT ours.workload, ours.name, others.name AS other, ours.rate / nullif(others.rate, 0) AS ratio
    FROM rate AS ours JOIN rate AS others USING (trio, workload)
    WHERE ours.name LIKE 'purchase%' AND others.name NOT LIKE 'purchase%'
),
spread AS (
    SELECT workload, name, other,
           format('%s (%s–%s)', round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio)::numeric, 2),
                  round(min(ratio)::numeric, 2), round(max(ratio)::numeric, 2)) AS spread
    FROM ratio GROUP BY workload, name, other
)
SELECT format('| %s | %s | %s | %s |', title,
              (SELECT trim(to_char(percentile_cont(0.5) WITHIN GROUP (ORDER BY rate), '999,999,990'))
               FROM rate WHERE rate.workload = line.workload AND rate.name = line.name),
              coalesce((SELECT spread FROM spread WHERE spread.workload = line.workload
                        AND spread.name = line.name AND other = 'update'), '–'),
              coalesce((SELECT spread FROM spread WHERE spread.workload = line.workload
                        AND spread.name = line.name AND other = 'for_update'), '–'))
FROM (VALUES (1, 'alone', 'purchase', 'Cold, 1 client'),
             (2, 'cold', 'purchase', 'Cold, ' || :'clients' || ' clients'),
             (3, 'hot', 'purchase_try', 'Hot, ' || :'clients' || ' clients, not waiting'),
             (4, 'hot', 'purchase_wait', 'Hot, ' || :'clients' || ' clients'),
             (5, 'hot', 'purchase_early', 'Early, hot, ' || :'clients' || ' clients'))
    AS line (n, workload, name, title)
ORDER BY n;
\echo
SELECT '- PostgreSQL ', current_setting('server_version'), ', ', engine, ' engine, fsync = ', current_setting('fsync'),
       ', shared_buffers = ', current_setting('shared_buffers'), ', synchronous_standby_names = ''',
       current_setting('synchronous_standby_names'), ''''
    FROM :extension.purchase_stock_tables WHERE stock_table = 'purchase_bench.product'::regclass;
SELECT '- One client''s sale is durable after ', round((1000 * seconds / sold)::numeric, 2), ' ms'
    FROM purchase_bench.run WHERE workload = 'alone';
END
echo "- No unit was lost or sold twice: $sales sales in $runs runs"
