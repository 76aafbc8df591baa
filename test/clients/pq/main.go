package main

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"
)

func (s pqShop) transaction(ctx context.Context, work func(seller) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err = work(pqSeller{tx}); err != nil {
		return err
	}
	return tx.Commit()
}

func (s pqShop) orderLines(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM shop_order_line").Scan(&n)
	return n, err
}

// The call comes first: from then on the setting is the extension's own.
func (s pqShop) lockWait(ctx context.Context) (setting string, err error) {
	db, err := openPatiently()
	if err != nil {
		return "", err
	}
	defer db.Close()
	var remaining int64
	err = db.QueryRowContext(ctx, "SELECT purchase(1, 1), current_setting('purchase.lock_wait')").
		Scan(&remaining, &setting)
	return setting, err
}

func (s pqShop) reset(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "SELECT shop_reset()")
	return err
}

func (s pqShop) told(err error) []string {
	var e *pq.Error
	if !errors.As(err, &e) {
		return nil
	}
	return []string{string(e.Code), e.Message, e.Detail, e.Table, e.Column}
}

func main() {
	// What it doesn't say is taken from the environment: PGHOST and so on.
	db, err := sql.Open("postgres", "sslmode=disable")
	check(err)
	defer db.Close()
	contract(pqShop{pqSeller{db}, db}, "lib/pq "+packageVersion("golang-github-lib-pq-dev"))
}
