# shellcheck shell=bash
# Sums of results, what a checkout has, copies of servers, and throw-away clusters for
# scripts that test/private runs.

# Prints one "N passed, N failed" for all such lines of the files.
sum_results() {
	awk '/^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }
		END { printf "%d passed, %d failed\n", p, f }' "$@"
}

# Prints the tree of git that a commit of all that is not ignored would have.
# The checkout's own index stays as it is.
checkout_tree() (
	index=$(git rev-parse --absolute-git-dir)/index
	GIT_INDEX_FILE=$(mktemp)
	export GIT_INDEX_FILE
	trap 'rm -f "$GIT_INDEX_FILE"' EXIT
	cp "$index" "$GIT_INDEX_FILE"
	git add --all
	git write-tree
)

# copy_server PG_CONFIG ROOT: a copy of a server, without the extension, which finds
# its own libraries and files.
#
# PostgreSQL finds its other directories relative to its real executable, so
# programs are copied; links do for what they find.
copy_server() {
	local config=$1 root=$2 bin lib share
	bin=$("$config" --bindir)
	lib=$("$config" --pkglibdir)
	share=$("$config" --sharedir)

	mkdir -p "$root$bin" "$root$lib" "$root$share"
	cp -rL "$bin/." "$root$bin"
	cp -rs "$lib/." "$root$lib"
	cp -rs "$share/." "$root$share"
	rm -rf "$root$lib"/{,bitcode/}purchase{,.*} \
		"$root$share"/extension/purchase[.-]*

	# pgTAP is plain SQL: any major's serves a server that has none.
	if [ ! -e "$share/extension/pgtap.control" ]; then
		cp -s /usr/share/postgresql/*/extension/pgtap[.-]* \
			"$root$share/extension" 2>/dev/null || true
	fi
}

# Creates and starts a cluster with the given lines of postgresql.conf.
# Usage: start_cluster NAME [SETTING...]
start_cluster() {
	local name=$1 template=$PURCHASE_TMP/template
	local data=$PURCHASE_TMP/$name
	shift

	if [ ! -e "$template" ]; then
		initdb --no-sync -A trust -U postgres -E UTF8 --locale=C \
			-D "$template" >"$PURCHASE_TMP/results/initdb.log"
	fi
	cp -r "$template" "$data"
	printf '%s\n' "listen_addresses = ''" \
		"unix_socket_directories = '$data'" "$@" >>"$data/postgresql.conf"
	pg_ctl -D "$data" -l "$PURCHASE_TMP/results/$name.log" -s -w start
}

# The directory of the programs that test/setup unpacks for test/monitoring.  It stays.
monitoring_tools() {
	echo "${MONITORING_TOOLS:-/var/tmp/purchase-monitoring.$UID}"
}

# Makes it the cluster that psql and the like connect to.
use_cluster() {
	export PGHOST=$PURCHASE_TMP/$1 PGPORT=5432 PGUSER=postgres
	export PGDATABASE=postgres
}
