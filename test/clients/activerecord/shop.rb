# Sells with Active Record.
require 'active_record'
require_relative '../ruby/errors'

class Product < ActiveRecord::Base
  self.table_name = 'shop_product'
  attr_readonly :stock # written for a new product only
end

class OrderLine < ActiveRecord::Base
  self.table_name = 'shop_order_line'
end

# For connections whose sales wait for a busy product; or in database.yml.
PATIENTLY = { variables: { 'purchase.lock_wait' => '2s' } }.freeze

module Shop
  module_function

  # Returns what remains.
  def sell(product_id, quantity)
    call('SELECT purchase($1, $2) AS remaining',
         [product_id, quantity]).first[:remaining]
  end

  def sell_seat(seat_id, quantity)
    call("SELECT purchase($1, $2, 'shop_seat') AS remaining",
         [seat_id, quantity]).first[:remaining]
  end

  # All lines or none. Active Record leaves the encoding of arrays to pg.
  def sell_cart(lines)
    arrays = lines.transpose.map { |a| PG::TextEncoder::Array.new.encode(a) }
    call('SELECT * FROM purchase_cart($1::bigint[], $2)', arrays)
  end

  # All lines or none. Repeated, it answers what it did the first time.
  def hold(order_id, lines, time = 15.minutes, buyer: nil)
    arrays = lines.transpose.map { |a| PG::TextEncoder::Array.new.encode(a) }
    call(<<~SQL, [*arrays, order_id, time.iso8601, buyer])
      SELECT * FROM purchase_cart($1::bigint[], $2,
        sale_id => $3::text, hold_for => $4, buyer => $5)
    SQL
  end

  # False if that was done before. After HoldExpiredError, pay back.
  def confirm(order_id)
    call('SELECT purchase_confirm($1::text) AS first', [order_id]).first[:first]
  end

  # Returns the units that are given back.
  def release(order_id)
    call('SELECT purchase_release($1::text) AS units', [order_id]).first[:units]
  end

  # All that is left of an order. Returns the units: 0 if that was done before.
  def take_back(order_id, restock: true)
    call('SELECT purchase_return($1::text, restock => $2) AS units',
         [order_id, restock]).first[:units]
  end

  # Repeated with the refund's id, it answers the same, and does nothing.
  def take_back_part(order_id, refund_id, product_id, quantity, restock: true)
    call(<<~SQL, [order_id, product_id, quantity, refund_id, restock]).first[:units]
      SELECT purchase_return($1::text, $2, $3, $4::text, restock => $5) AS units
    SQL
  end

  def try_sell(product_id, quantity)
    call('SELECT * FROM purchase_try($1, $2)', [product_id, quantity]).first
  end

  # Returns what there is now.
  def restock(product_id, quantity)
    call('SELECT purchase_restock($1, $2) AS stock',
         [product_id, quantity]).first[:stock]
  end

  # Returns what there was before.
  def set_stock(product_id, counted)
    call('SELECT purchase_set_stock($1, $2) AS stock',
         [product_id, counted]).first[:stock]
  end

  # The sale, the order line and what the block does, or nothing.
  def order(product_id, quantity)
    transaction do
      sell(product_id, quantity)
      OrderLine.create!(product_id: product_id, quantity: quantity)
      yield
    end
  end

  # Other statements and COMMIT can fail, too.
  def transaction(&work)
    translating { ActiveRecord::Base.transaction(&work) }
  end

  def order_lines
    OrderLine.count
  end

  # Not select_all and its like: during a request these answer a statement that
  # is repeated from the query cache, and nothing would be sold. What the cache
  # knows of the stock is of no use after the sale.
  def call(sql, binds)
    connection = ActiveRecord::Base.connection
    connection.clear_query_cache
    translating do
      connection.exec_query(sql, 'Sale', binds).map(&:symbolize_keys)
    end
  end

  # 55P03 arrives as its subclass LockWaitTimeout.
  def translating
    yield
  rescue ActiveRecord::StatementInvalid => e
    code = e.cause.try(:result)&.error_field(PG::PG_DIAG_SQLSTATE)
    raise SALE_ERRORS.fetch(code, e)
  end

  def reset
    ActiveRecord::Base.connection.execute('SELECT shop_reset()')
  end
end
