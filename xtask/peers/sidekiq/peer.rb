# Sidekiq: `submit single|bulk N`. Its worker loads this file too. It stores no results, so nothing can be waited for.
require 'json'
require 'sidekiq'

REDIS = { url: ENV.fetch('BENCH_URL') }.freeze
Sidekiq.configure_server { |config| config.redis = REDIS }
Sidekiq.configure_client { |config| config.redis = REDIS }
Sidekiq.logger.level = Logger::ERROR

PARAMS = {
  'query' => 'alice',
  'limit' => 10,
  'opts' => { 'fuzzy' => true, 'fields' => %w[name aliases] },
  'id' => '0f9d2c1e-7b1a-4c55'
}.freeze
BATCH = 1000
MARKS = { ENV['BENCH_FIRST'].to_i => '.first', ENV['BENCH_LAST'].to_i => '.last' }.freeze
LOCK = Mutex.new
$jobs = 0

class Noop
  include Sidekiq::Worker

  def perform(_params)
    mark = LOCK.synchronize { MARKS[$jobs += 1] }
    file = ENV['BENCH_MARKS']
    return unless mark && file

    File.write("#{file}.part", Time.now.to_f.to_s)
    File.rename("#{file}.part", file + mark)
  end
end

if ARGV[0] == 'submit'
  tasks = ARGV[2].to_i
  since = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  if ARGV[1] == 'single'
    tasks.times { Noop.perform_async(PARAMS) }
  else
    (tasks / BATCH).times do
      Sidekiq::Client.push_bulk('class' => Noop, 'args' => Array.new(BATCH) { [PARAMS] })
    end
  end
  elapsed = Process.clock_gettime(Process::CLOCK_MONOTONIC) - since
  puts "RESULT #{JSON.generate(per_s: tasks / elapsed)}"
end
