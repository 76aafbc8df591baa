# shellcheck shell=bash
# What test/run and test/setup need to know about clients: see README.md.

# Prints their names.
all_clients() {
	local file
	for file in test/clients/*/run; do
		file=${file%/run}
		echo "${file##*/}"
	done
	sed 's/$/@pgbouncer/' test/clients/pooled
}

# Prints the names that $CLIENTS stands for.
chosen_clients() {
	case ${CLIENTS:-} in
	all) all_clients ;;
	'') cat test/clients/cheap ;;
	*) echo "$CLIENTS" ;;
	esac
}

# Prints the Debian packages that the given clients need.
client_packages() {
	local client files=()
	for client; do
		[ -e "test/clients/${client%@*}/run" ] || {
			echo "There is no client $client." >&2
			return 1
		}
		files+=("test/clients/${client%@*}/packages")
		[[ $client != *@* ]] || files+=("test/clients/${client#*@}/packages")
	done
	# A Node.js that isn't Debian's brings npm, and conflicts with Debian's.
	sed 's/#.*//; s/[[:blank:]]//g; /^$/d' "${files[@]}" | sort -u |
		if command -v npm >/dev/null; then sed '/^npm$/d'; else cat; fi
}

# Installs what the given clients need, outside of this directory. What can't
# be installed shows when its client is tested.
prepare_clients() {
	local client
	CLIENTS="$*" test/setup clients || for client; do
		CLIENTS=$client test/setup clients ||
			echo "Could not install what $client needs." >&2
	done
	client_caches
	for client; do
		client=${client%@*}
		[ -x "test/clients/$client/prepare" ] || continue
		mkdir -p "$CLIENT_CACHES/$client"
		(
			cd "test/clients/$client"
			CLIENT_CACHE=$CLIENT_CACHES/$client ./prepare
		) || echo "Could not prepare $client." >&2
	done
}

# A directory that stays, and that the ordinary user who runs tests can read.
client_caches() {
	export CLIENT_CACHES=${CLIENT_CACHES:-/var/tmp/purchase-clients.$UID}
	(umask 022 && mkdir -p "$CLIENT_CACHES")
	[ -O "$CLIENT_CACHES" ] || {
		echo "$CLIENT_CACHES belongs to somebody else." >&2
		return 1
	}
}

# Starts the server and the pooler that all of them use.
start_shop() {
	local client dir port
	port=$(free_port)
	# Everybody on this machine could come by TCP.
	printf '%s\n' 'local all all trust' \
		'host all all 127.0.0.1/32 scram-sha-256' >"$PURCHASE_TMP/clients.hba"
	start_cluster clients fsync=off max_connections=200 "port = $port" \
		"listen_addresses = '127.0.0.1'" "hba_file = '$PURCHASE_TMP/clients.hba'"
	use_cluster clients
	PGPORT=$port
	PGPASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	export PGPASSWORD
	psql -Xq -v password="$PGPASSWORD" <<<"ALTER ROLE postgres PASSWORD :'password'"
	createdb shop
	psql -Xq -v ON_ERROR_STOP=1 -d shop -f test/clients/shop.sql \
		>"$PURCHASE_TMP/results/shop.log"
	# A directory without a client is what several of them share.
	mkdir "$PURCHASE_TMP/client"
	for dir in test/clients/*/; do
		[ -e "$dir/run" ] || ln -s "$PWD/$dir" "$PURCHASE_TMP/client/"
	done
	for client; do
		createdb -T shop "shop_$client"
	done
	[[ $* != *@* ]] || test/clients/pgbouncer/start
}

stop_shop() {
	local pidfile=$PURCHASE_TMP/pgbouncer/postmaster.pid
	[ ! -e "$pidfile" ] || kill "$(cat "$pidfile")"
	pg_ctl -D "$PURCHASE_TMP/clients" -s -m immediate stop
}

# A TCP port that nobody listens to.
free_port() {
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")
			or die "no free port: $!\n";
		print $s->sockport, "\n";'
}

# Prints the versions that the clients were tested with.
client_versions() {
	local file name
	for file in "$PURCHASE_TMP"/results/clients/*.tap; do
		name=${file##*/}
		printf '%-24s %s\n' "${name%.tap}" \
			"$(sed -n 's/^# version: //p' "$file" | head -n 1)"
	done
}
