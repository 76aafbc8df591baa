require_relative 'shop'
require_relative '../ruby/contract'

# What is not given is taken from the environment: PGHOST, PGPORT and so on.
SETTINGS = { adapter: 'postgresql', pool: 25 }.freeze
ActiveRecord::Base.establish_connection(SETTINGS)

class Patient < ActiveRecord::Base
  self.abstract_class = true
end

# The same table, without further thought; and a model whose save writes all of
# its columns, as it does with partial_writes = false.
class CarelessProduct < ActiveRecord::Base
  self.table_name = 'shop_product'
end

class WholeProduct < CarelessProduct
  self.partial_writes = false
end

def guard(enabled)
  ActiveRecord::Base.connection.execute("SELECT purchase_guard('shop_product', #{enabled})")
end

# From another connection: sold while somebody looks at the product.
def sell_elsewhere
  Thread.new { with_shop { |shop| shop.sell(1, 1) } }.join
end

# What a controller does with the form of an edit page, which has been open since
# before the sale.
def update_from_form(model)
  form = model.find(1).attributes.merge('name' => 'Pen')
  sell_elsewhere
  product = model.find(form['id'])
  product.assign_attributes(form)
  product.save!
  product
end

def save_stale_record(model)
  product = model.find(1)
  sell_elsewhere
  product.update!(name: 'Pen')
end

# The well-known mistake: read, subtract, write.
def take(quantity)
  product = CarelessProduct.find(1)
  sell_elsewhere
  product.update!(stock: product.stock - quantity)
end

def pen
  CarelessProduct.uncached { CarelessProduct.find(1) }.slice(:name, :stock).values
end

def with_shop
  ActiveRecord::Base.connection_pool.with_connection { yield Shop }
end

FIELDS = lambda do |error|
  [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_PRIMARY,
   PG::PG_DIAG_MESSAGE_DETAIL, PG::PG_DIAG_TABLE_NAME,
   PG::PG_DIAG_COLUMN_NAME].map { |field| error.cause.result.error_field(field) }
end

Contract.new("activerecord #{ActiveRecord.version}, pg #{PG::VERSION}",
             method(:with_shop), FIELDS,
             Hash.new(ActiveRecord::StatementInvalid)
                 .merge('55P03' => ActiveRecord::LockWaitTimeout)) do |shop|
  test 'sells twice within the query cache of a request' do
    ActiveRecord::Base.cache do
      same([shop.sell(1, 3), shop.sell(1, 3)], [97, 94])
    end
  end

  # The call comes first: from then on the setting is the extension's own.
  test 'waits if the connection says so' do
    Patient.establish_connection(SETTINGS.merge(PATIENTLY))
    same(Patient.connection.select_value(<<~SQL), '2s')
      SELECT setting FROM purchase(1, 1), current_setting('purchase.lock_wait') AS setting
    SQL
  end

  # Its time is over, and somebody else buys what was held.
  taken = lambda do |order_id, product_id, quantity|
    ActiveRecord::Base.connection.execute(<<~SQL)
      UPDATE shop_product_hold SET expires_at = '2020-01-01' WHERE sale_id = '#{order_id}'
    SQL
    shop.sell(product_id, quantity)
  end

  fails = lambda do |error, sqlstate, &work|
    work.call
    raise 'it did not fail'
  rescue SaleError => e
    same([e.class, e.message, e.retryable?], [error, error::TEXT, false])
    same(e.cause.class, ActiveRecord::StatementInvalid)
    same(FIELDS.call(e.cause).first, sqlstate)
  end

  test 'holds and confirms' do
    [7, 2**40, 'seven', SecureRandom.uuid].each.with_index(1) do |order_id, held|
      2.times do
        same(shop.hold(order_id, [[6, 1], [1, 2]]),
             [{ product_id: 1, qty: 2, remaining: 100 - 2 * held },
              { product_id: 6, qty: 1, remaining: 100 - held }])
      end
      same([shop.confirm(order_id), shop.confirm(order_id)], [true, false])
    end
    same(ActiveRecord::Base.connection.select_rows(<<~SQL), [[8, 'sold', 'PT15M']])
      SELECT count(*), state, hold_for::text FROM shop_product_sale GROUP BY state, hold_for
    SQL
  end

  test 'another cart of the same number' do
    shop.hold(7, [[1, 2]])
    fails.call(SaleIdConflictError, 'SK201') { shop.hold(7, [[1, 3]]) }
    fails.call(SaleIdConflictError, 'SK201') { shop.hold(7, [[1, 2]], 1.hour) }
  end

  test 'the time was over' do
    shop.hold(7, [[2, 1]])
    taken.call(7, 2, 1)
    fails.call(HoldExpiredError, 'SK102') { shop.confirm(7) }
    fails.call(HoldExpiredError, 'SK102') { shop.hold(7, [[2, 1]]) }
  end

  test 'releases' do
    fails.call(SaleNotFoundError, 'SK101') { shop.release(7) }
    shop.hold(7, [[1, 2], [6, 1]])
    same([shop.release(7), shop.release(7)], [3, 0])
    fails.call(SaleSettledError, 'SK103') { shop.confirm(7) }
  end

  sold = lambda do |order_id|
    shop.hold(order_id, [[1, 2], [6, 1]])
    shop.confirm(order_id)
  end

  # Of the pens and the ink, and how many of them are broken.
  left = lambda do |*expected|
    sql = <<~SQL
      SELECT purchase_available(1), purchase_available(6), sum(discarded)::bigint
      FROM shop_product_sale WHERE state = 'sold'
    SQL
    same(ActiveRecord::Base.connection.select_rows(sql), [expected])
  end

  test 'takes back once' do
    [7, 2**40, 'seven', SecureRandom.uuid].each do |order_id|
      sold.call(order_id)
      same([shop.take_back(order_id), shop.take_back(order_id)], [3, 0])
      left.call(100, 100, 0)
    end
  end

  test 'takes back a part once for each refund' do
    [8, 2**41, 'eight', SecureRandom.uuid].each do |refund_id|
      order_id = "of #{refund_id}"
      sold.call(order_id)
      2.times { same(shop.take_back_part(order_id, refund_id, 1, 1), 1) }
      left.call(99, 99, 0)
      fails.call(SaleIdConflictError, 'SK201') do
        shop.take_back_part(order_id, refund_id, 1, 2)
      end
      same(shop.take_back(order_id), 2)
      left.call(100, 100, 0)
    end
  end

  test 'takes back what is broken' do
    sold.call(7)
    shop.take_back_part(7, 8, 1, 1, restock: false)
    left.call(98, 99, 1)
    same(shop.take_back(7, restock: false), 2)
    left.call(98, 99, 3)
  end

  test 'takes back no more than was sold' do
    fails.call(SaleNotFoundError, 'SK101') { shop.take_back(7) }
    shop.hold(7, [[1, 2]])
    fails.call(ReturnExceedsSaleError, 'SK104') { shop.take_back(7) }
    shop.confirm(7)
    fails.call(ReturnExceedsSaleError, 'SK104') { shop.take_back_part(7, 8, 1, 3) }
    left.call(98, 100, 0)
  end

  test 'takes back with the money or not at all' do
    sold.call(7)
    shop.transaction do
      shop.take_back(7)
      raise ActiveRecord::Rollback # no money
    end
    left.call(98, 99, 0)
    same(shop.take_back(7), 3)
  end

  # A SELECT that is repeated is answered from the cache, but not by call.
  test 'takes back once with the query cache' do
    sold.call(7)
    units = ActiveRecord::Base.cache { [shop.take_back(7), shop.take_back(7)] }
    same(units, [3, 0])
  end

  test 'no more than one buyer may have' do
    remaining = lambda do |order_id, quantity, buyer|
      shop.hold(order_id, [[8, quantity]], buyer: buyer).first[:remaining]
    end
    same(remaining.call(7, 2, 'ann'), 8)
    fails.call(BuyerLimitExceededError, 'SK004') { remaining.call(8, 1, 'ann') }
    same(remaining.call(9, 2, 70), 6)
    shop.confirm(7)
    shop.take_back_part(7, 'back', 8, 1)
    same(remaining.call(8, 1, 'ann'), 6)
  end

  # All is sent as text, with its type open; but a Duration not at all.
  test 'what needs no cast' do
    sql = 'SELECT purchase(1, 1, sale_id => $1, hold_for => $2)'
    shop.call(sql, [7, '15 minutes'])
    shop.call(sql, [SecureRandom.uuid, 15.minutes.iso8601])
    begin
      shop.call(sql, [8, 15.minutes])
      raise 'it was sent'
    rescue TypeError => e
      same(e.message, "can't cast ActiveSupport::Duration")
    end
  end

  refused = lambda do |&work|
    same(failure { shop.translating(&work) }, StockGuardedError)
  end

  test 'an old form brings back what was sold without the guard' do
    guard(false)
    update_from_form(CarelessProduct)
    same(pen, ['Pen', 100])
  end

  test 'an old form is refused' do
    guard(true)
    begin
      shop.translating { update_from_form(CarelessProduct) }
      raise 'it was saved'
    rescue StockGuardedError => e
      same([e.message, e.retryable?], [StockGuardedError::TEXT, false])
      same(e.cause.class, ActiveRecord::StatementInvalid)
      same(FIELDS.call(e.cause).values_at(0, 1, 3, 4),
           ['SK005', 'column "stock" of table "shop_product" is guarded',
            'shop_product', 'stock'])
    end
    same(pen, ['pen', 99])
  end

  test 'all columns bring back what was sold without the guard' do
    guard(false)
    save_stale_record(WholeProduct)
    same(pen, ['Pen', 100])
  end

  test 'all columns are refused' do
    guard(true)
    refused.call { save_stale_record(WholeProduct) }
    same(pen, ['pen', 99])
  end

  test 'a subtraction in Ruby loses a sale without the guard' do
    guard(false)
    take(2)
    same(pen, ['pen', 98]) # of 100, and three are sold
  end

  test 'a subtraction in Ruby is refused' do
    guard(true)
    refused.call { take(2) }
    same(pen, ['pen', 99])
  end

  # The limit of the guard: it sees a value that is there already. The same code
  # fails at once when nobody else has sold just as many.
  test 'a subtraction that comes to the stock that is there passes' do
    guard(true)
    take(1)
    same(pen, ['pen', 99]) # of 100, and two are sold
  end

  test 'changed columns are saved' do
    guard(true)
    save_stale_record(CarelessProduct)
    same(pen, ['Pen', 99])
  end

  test 'all columns of a fresh record are saved' do
    guard(true)
    sell_elsewhere
    WholeProduct.find(1).update!(name: 'Pen')
    same(pen, ['Pen', 99])
  end

  # With attr_readonly: left out in silence.
  test 'the shop leaves out the stock' do
    [true, false].each do |enabled|
      shop.reset
      guard(enabled)
      product = update_from_form(Product)
      same(pen, ['Pen', 99])
      same([product.stock, product.reload.stock], [100, 99])
    end
  end

  test 'the shop leaves out the stock of all columns' do
    guard(true)
    Product.partial_writes = false
    save_stale_record(Product)
    same(pen, ['Pen', 99])
  ensure
    Product.partial_writes = true
  end

  test 'the shop adds a product' do
    guard(true)
    Product.create!(id: 7, name: 'cup', stock: 5)
    same(CarelessProduct.find(7).stock, 5)
  end

  test 'the shop restocks and counts' do
    guard(true)
    same([shop.restock(1, 20), shop.set_stock(1, 90)], [120, 120])
    same(pen, ['pen', 90])
    same(failure { shop.set_stock(99, 1) }, ProductNotFoundError)
  end
end
