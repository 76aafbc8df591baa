package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"
)

// The contract of README.md, for the Go programs: each has a shop.go, and a
// main.go that calls this with it.

const (
	pen, lamp, chair, desk, ticket, ink, nothing = 1, 2, 3, 4, 5, 6, 99

	front = "5ea70000-0000-4000-8000-000000000001"
)

type line struct{ ProductID, Quantity int64 }

type soldLine struct{ ProductID, Quantity, Remaining int64 }

// Remaining is nil for a product that is busy or was not found.
type outcome struct {
	Outcome   string
	Remaining *int64
}

func (o outcome) String() string {
	if o.Remaining == nil {
		return o.Outcome
	}
	return fmt.Sprint(o.Outcome, " ", *o.Remaining)
}

// A seller sells, within a transaction or not.
type seller interface {
	sell(ctx context.Context, productID, quantity int64) (remaining int64, err error)
	sellSeat(ctx context.Context, seatID string, quantity int64) (remaining int64, err error)
	sellCart(ctx context.Context, lines []line) ([]soldLine, error)
	trySell(ctx context.Context, productID, quantity int64) (outcome, error)
}

type shop interface {
	seller
	// order has the sale, the order line and the payment, or nothing.
	order(ctx context.Context, productID, quantity int64, pay func() error) error
	transaction(ctx context.Context, work func(seller) error) error
	orderLines(ctx context.Context) (int, error)
	reset(ctx context.Context) error
	// lockWait has the setting of a connection whose sales wait.
	lockWait(ctx context.Context) (string, error)
	// told has what the driver's error says: code, message, detail, table
	// and column.
	told(err error) []string
}

func paid() error { return nil }

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(got, expected interface{}) {
	if !reflect.DeepEqual(got, expected) {
		panic(fmt.Errorf("%v is not %v", got, expected))
	}
}

func contract(s shop, version string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	count, failed := 0, 0

	test := func(name string, body func()) {
		count++
		not := ""
		defer func() {
			if err := recover(); err != nil {
				fmt.Println("#", strings.ReplaceAll(fmt.Sprint(err), "\n", "\n# "))
				failed++
				not = "not "
			}
			fmt.Printf("%sok %d - %s\n", not, count, name)
		}()
		check(s.reset(ctx))
		body()
	}

	sold := func(productID, quantity, expected int64) {
		remaining, err := s.sell(ctx, productID, quantity)
		check(err)
		same(remaining, expected)
	}

	tried := func(by seller, productID, quantity int64, expected string) {
		o, err := by.trySell(ctx, productID, quantity)
		check(err)
		same(o.String(), expected)
	}

	state := func(productID, stock int64, orderLines int) {
		o, err := s.trySell(ctx, productID, 1000000)
		check(err)
		same(*o.Remaining, stock)
		n, err := s.orderLines(ctx)
		check(err)
		same(n, orderLines)
	}

	failsAs := func(reason error, productID, quantity int64, told ...string) {
		_, err := s.sell(ctx, productID, quantity)
		if !errors.Is(err, reason) {
			panic(fmt.Errorf("%v is not: %v", err, reason))
		}
		same(s.told(err), told)
	}

	// Has a buyer who has not committed yet while the rest is done.
	whileSelling := func(productID int64, meanwhile func()) {
		check(s.transaction(ctx, func(other seller) error {
			if _, err := other.sell(ctx, productID, 1); err != nil {
				return err
			}
			meanwhile()
			return nil
		}))
	}

	fmt.Printf("# version: %s, %s\n", version, runtime.Version())

	test("sells by bigint key", func() {
		sold(pen, 3, 97)
		sold(pen, 1, 96)
	})

	test("sells by uuid key", func() {
		remaining, err := s.sellSeat(ctx, front, 2)
		check(err)
		same(remaining, int64(98))
	})

	test("sells a cart", func() {
		lines, err := s.sellCart(ctx, []line{{ink, 1}, {pen, 2}, {ink, 3}})
		check(err)
		same(lines, []soldLine{{pen, 2, 98}, {ink, 4, 96}})
	})

	test("says why not without raising", func() {
		check(s.transaction(ctx, func(tx seller) error {
			tried(tx, chair, 1, "out_of_stock 0")
			tried(tx, nothing, 1, "product_not_found")
			tried(tx, pen, 1, "sold 99")
			return nil
		}))
		state(pen, 99, 0)
	})

	test("rolls back sale and order line together", func() {
		failure := errors.New("not paid")
		same(s.order(ctx, pen, 2, func() error { return failure }), failure)
		state(pen, 100, 0)
		check(s.order(ctx, pen, 2, paid))
		state(pen, 98, 1)
	})

	test("product not found", func() {
		failsAs(ErrProductNotFound, nothing, 1, "SK001", "product 99 not found",
			`Key (id)=(99) is not present in table "shop_product".`,
			"shop_product", "id")
	})

	test("out of stock", func() {
		failsAs(ErrOutOfStock, chair, 1, "SK002", "product 3 is out of stock",
			"Product 3 has 0 in stock, 1 was requested.",
			"shop_product", "stock")
	})

	test("insufficient quantity", func() {
		failsAs(ErrInsufficientQuantity, desk, 3, "SK003", "not enough stock of product 4",
			"Product 4 has 2 in stock, 3 were requested.",
			"shop_product", "stock")
	})

	test("busy", func() {
		whileSelling(lamp, func() {
			failsAs(ErrProductBusy, lamp, 1, "55P03", "product 2 is busy",
				"Another transaction holds a lock on the row of product 2.",
				"shop_product", "stock")
		})
	})

	test("two buyers of the last unit", func() {
		whileSelling(lamp, func() {
			_, err := s.sell(ctx, lamp, 1)
			same(errors.Is(err, ErrProductBusy), true)
		})
		_, err := s.sell(ctx, lamp, 1)
		same(errors.Is(err, ErrOutOfStock), true)
		state(lamp, 0, 0)
	})

	test("twenty buyers of ten units", func() {
		var buyers sync.WaitGroup
		results := make([]error, 20)
		for i := range results {
			buyers.Add(1)
			go func(result *error) {
				defer buyers.Done()
				*result = retrying(1000, func() error { return s.order(ctx, ticket, 1, paid) })
			}(&results[i])
		}
		buyers.Wait()
		refused := 0
		for _, err := range results {
			if err != nil {
				same(errors.Is(err, ErrOutOfStock), true)
				refused++
			}
		}
		same(refused, 10)
		state(ticket, 0, 10)
	})

	// A transaction that orders the next of these each time it is run.
	var tries int
	attempts := func(orders ...line) func() error {
		tries = 0
		return func() error {
			o := orders[tries]
			tries++
			return s.order(ctx, o.ProductID, o.Quantity, paid)
		}
	}

	test("retries a busy product", func() {
		attempt := attempts(line{pen, 1}, line{pen, 1})
		failed, committed, result := make(chan bool), make(chan bool), make(chan error, 1)
		whileSelling(pen, func() {
			go func() {
				result <- retrying(10, func() error {
					if tries > 0 {
						failed <- true
						<-committed
					}
					return attempt()
				})
			}()
			select {
			case <-failed:
			case err := <-result:
				panic(fmt.Errorf("not retried: %v", err))
			}
		})
		close(committed)
		check(<-result)
		same(tries, 2)
		state(pen, 98, 1)
	})

	test("retries conflicts", func() {
		check(retrying(10, attempts(line{pen, 41}, line{pen, 42}, line{pen, 1})))
		same(tries, 3)
		state(pen, 99, 1)
	})

	test("retries nothing else", func() {
		for _, refused := range []struct {
			order  line
			reason error
		}{
			{line{nothing, 1}, ErrProductNotFound},
			{line{chair, 1}, ErrOutOfStock},
			{line{desk, 3}, ErrInsufficientQuantity},
		} {
			err := retrying(10, attempts(refused.order, refused.order))
			same(errors.Is(err, refused.reason), true)
			same(tries, 1)
		}
		err := retrying(10, attempts(line{pen, 43}, line{pen, 43}))
		same(s.told(err)[0], "23514")
		same(tries, 1)
	})

	test("gives up", func() {
		whileSelling(pen, func() {
			err := retrying(3, attempts(line{pen, 1}, line{pen, 1}, line{pen, 1}, line{pen, 1}))
			same(errors.Is(err, ErrProductBusy), true)
			same(tries, 3)
		})
	})

	test("tells buyers a text of its own", func() {
		for order, text := range map[line]string{
			{nothing, 1}: "there is no such product",
			{chair, 1}:   "it is sold out",
			{desk, 3}:    "there are not so many left",
			{pen, 41}:    "your order met another, try again",
		} {
			same(retrying(1, attempts(order)).Error(), text)
		}
	})

	test("waits if the connection says so", func() {
		setting, err := s.lockWait(ctx)
		check(err)
		same(setting, "2s")
	})

	fmt.Printf("1..%d\n", count)
	if failed > 0 {
		os.Exit(1)
	}
}

// A program knows the versions of modules, but not those of Debian's sources.
func packageVersion(name string) string {
	version, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	check(err)
	return strings.Split(string(version), "-")[0]
}
