require_relative 'shop'
require_relative '../ruby/contract'

# What is not given is taken from the environment: PGHOST, PGPORT and so on.
SETTINGS = { adapter: 'postgresql', pool: 25 }.freeze
ActiveRecord::Base.establish_connection(SETTINGS)

class Patient < ActiveRecord::Base
  self.abstract_class = true
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
end
