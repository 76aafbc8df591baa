# The contract of README.md, for the Ruby programs: each has a shop.rb, and a
# test.rb that calls this with a function that yields a shop on a connection of
# its own, the library's exceptions and what they tell.
require_relative 'errors'
require 'timeout'

class Contract
  PEN, LAMP, CHAIR, DESK, TICKET, INK, NOTHING = 1, 2, 3, 4, 5, 6, 99
  FRONT = '5ea70000-0000-4000-8000-000000000001'.freeze

  def initialize(version, with_shop, fields, exceptions, &more)
    @with_shop = with_shop
    @fields = fields
    @exceptions = exceptions
    @count = @failed = 0
    puts "# version: #{version}, Ruby #{RUBY_VERSION}"
    with_shop.call do |shop|
      run(shop)
      instance_exec(shop, &more) if more
    end
    puts "1..#{@count}"
    exit(@failed.zero?)
  end

  private

  def test(name)
    @shop.reset
    @tries = 0
    Timeout.timeout(60) { yield }
    passed = true
  rescue StandardError => e
    here = e.backtrace.grep(%r{(contract|shop|test)\.rb:})
    puts ["#{e.class}: #{e.message}", *here].join("\n").gsub(/^/, '# ')
  ensure
    @count += 1
    @failed += 1 unless passed
    puts "#{'not ' unless passed}ok #{@count} - #{name}"
  end

  def same(got, expected)
    raise "#{got.inspect} is not #{expected.inspect}" unless got == expected
  end

  def stock(product)
    @shop.try_sell(product, 1_000_000)[:remaining]
  end

  # Expects the shop's error, and the library's own one below it to tell all.
  def fails_as(error, product, quantity, told)
    begin
      @shop.sell(product, quantity)
      raise 'it was sold'
    rescue SaleError => e
      same(e.class, error)
    end
    same(e.retryable?, error == ProductBusyError)
    same(e.cause.class, @exceptions[told[0]])
    same(@fields.call(e.cause), told)
  end

  # Has a buyer who has not committed yet; returns what has him commit.
  def begin_to_sell(product)
    sold = Queue.new
    may_commit = Queue.new
    seller = Thread.new do
      @with_shop.call do |other|
        other.transaction do
          other.sell(product, 1)
          sold << true
          may_commit.pop
        end
      end
    end
    sold.pop
    lambda do
      may_commit << true
      seller.join
    end
  end

  def while_selling(product)
    commit = begin_to_sell(product)
    yield
  ensure
    commit.call
  end

  def run(shop)
    @shop = shop

    test 'sells by bigint key' do
      same(shop.sell(PEN, 3), 97)
      same(shop.sell(PEN, 1), 96)
    end

    test 'sells by uuid key' do
      same(shop.sell_seat(FRONT, 2), 98)
    end

    test 'sells a cart' do
      same(shop.sell_cart([[INK, 1], [PEN, 2], [INK, 3]]),
           [{ product_id: PEN, qty: 2, remaining: 98 },
            { product_id: INK, qty: 4, remaining: 96 }])
    end

    test 'says why not without raising' do
      shop.transaction do
        same(shop.try_sell(CHAIR, 1), { outcome: 'out_of_stock', remaining: 0 })
        same(shop.try_sell(NOTHING, 1),
             { outcome: 'product_not_found', remaining: nil })
        same(shop.try_sell(PEN, 1), { outcome: 'sold', remaining: 99 })
      end
      same(stock(PEN), 99)
    end

    test 'rolls back sale and order line together' do
      begin
        shop.order(PEN, 2) { raise IOError, 'the payment failed' }
      rescue IOError => e
        same(e.message, 'the payment failed')
      end
      same([stock(PEN), shop.order_lines], [100, 0])
      shop.order(PEN, 2) {}
      same([stock(PEN), shop.order_lines], [98, 1])
    end

    test 'product not found' do
      fails_as(ProductNotFoundError, NOTHING, 1,
               ['SK001', 'product 99 not found',
                'Key (id)=(99) is not present in table "shop_product".',
                'shop_product', 'id'])
    end

    test 'out of stock' do
      fails_as(OutOfStockError, CHAIR, 1,
               ['SK002', 'product 3 is out of stock',
                'Product 3 has 0 in stock, 1 was requested.',
                'shop_product', 'stock'])
    end

    test 'insufficient quantity' do
      fails_as(InsufficientQuantityError, DESK, 3,
               ['SK003', 'not enough stock of product 4',
                'Product 4 has 2 in stock, 3 were requested.',
                'shop_product', 'stock'])
    end

    test 'busy' do
      while_selling(LAMP) do
        fails_as(ProductBusyError, LAMP, 1,
                 ['55P03', 'product 2 is busy',
                  'Another transaction holds a lock on the row of product 2.',
                  'shop_product', 'stock'])
      end
    end

    test 'two buyers of the last unit' do
      while_selling(LAMP) { same(failure { shop.sell(LAMP, 1) }, ProductBusyError) }
      same(failure { shop.sell(LAMP, 1) }, OutOfStockError)
      same(stock(LAMP), 0)
    end

    test 'twenty buyers of ten units' do
      buyers = Array.new(20) do
        Thread.new do
          @with_shop.call do |buyer|
            failure { retrying(tries: 1000) { buyer.order(TICKET, 1) {} } }
          end
        end
      end
      same(buyers.map(&:value).tally, { nil => 10, OutOfStockError => 10 })
      same([stock(TICKET), shop.order_lines], [0, 10])
    end

    test 'retries a busy product' do
      commit = begin_to_sell(PEN)
      retrying do
        commit.call if @tries.positive?
        attempt(PEN, 1)
      end
      same([@tries, stock(PEN), shop.order_lines], [2, 98, 1])
    ensure
      commit.call
    end

    test 'retries conflicts' do
      retrying { attempt(PEN, [41, 42, 1][@tries]) }
      same([@tries, stock(PEN), shop.order_lines], [3, 99, 1])
    end

    test 'retries nothing else' do
      { [NOTHING, 1] => ProductNotFoundError, [CHAIR, 1] => OutOfStockError,
        [DESK, 3] => InsufficientQuantityError }.each do |order, error|
        @tries = 0
        same([failure { retrying { attempt(*order) } }, @tries], [error, 1])
      end
      @tries = 0
      begin
        retrying { attempt(PEN, 43) }
      rescue SaleError, StandardError => e
        same([e.is_a?(SaleError), e.is_a?(@exceptions['23514'])], [false, true])
      end
      same([@tries, shop.order_lines], [1, 0])
    end

    test 'gives up' do
      while_selling(PEN) do
        same(failure { retrying(tries: 3) { attempt(PEN, 1) } }, ProductBusyError)
      end
      same(@tries, 3)
    end

    test 'tells buyers a text of its own' do
      { [NOTHING, 1] => 'There is no such product.', [CHAIR, 1] => 'It is sold out.',
        [DESK, 3] => 'There are not so many left.',
        [PEN, 41] => 'Your order met another. Try again.' }.each do |order, text|
        retrying(tries: 1) { attempt(*order) }
      rescue SaleError => e
        same(e.message, text)
      end
      same(@tries, 4)
    end
  end

  def attempt(product, quantity)
    @tries += 1
    @shop.order(product, quantity) {}
  end

  def failure
    yield
    nil
  rescue SaleError => e
    e.class
  end
end
