/**
 * pg and mysql2, unmodified, over our transports to a real PostgreSQL and a real MariaDB. Both take
 * a function that makes a stream, which is `dialDuplex`.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { requirePeer } from './peers.ts'
import { type DatabaseServer, startMariadb, startPostgres } from './support/database-servers.ts'
import { DRIVER_ROUTES, relay } from './support/driver-routes.ts'

const postgres = requirePeer('postgres')
const mariadb = requirePeer('mariadbd')
let sql: DatabaseServer | undefined
let maria: DatabaseServer | undefined

before(async () => {
  if (!postgres.skip) sql = await startPostgres(postgres.path)
  if (!mariadb.skip) maria = await startMariadb(mariadb.path)
})

after(async () => {
  await sql?.[Symbol.asyncDispose]()
  await maria?.[Symbol.asyncDispose]()
})

const LARGE = Buffer.from(
  Uint8Array.from({ length: 4 * 1024 * 1024 }, (_, index) => (index * 31) ^ (index >> 9)),
)

for (const route of DRIVER_ROUTES) {
  test(`pg works over ${route.name}`, { skip: postgres.skip || route.skip }, async () => {
    await using way = await relay(route, sql?.port ?? 0)
    const pool = new pg.Pool({
      ...{ user: 'heddle', password: 'weft', database: 'postgres', max: 4 },
      stream: () => way.stream() as never,
    })
    try {
      const sums = await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const { rows } = await pool.query('select $1::int + 1 as sum', [n])
          return rows[0].sum
        }),
      )
      assert.deepEqual(
        sums,
        Array.from({ length: 200 }, (_, n) => n + 1),
      )
      const { rows } = await pool.query('select $1::bytea as bytes', [LARGE])
      assert.ok(LARGE.equals(rows[0].bytes))
      const many = await pool.query('select generate_series(1, 50000) as n')
      assert.equal(many.rowCount, 50_000)
      assert.equal(many.rows.at(-1).n, 50_000)
      await assert.rejects(pool.query('select nothing from nowhere'), { code: '42P01' })
      await listensAndHears(pool)
    } finally {
      await pool.end()
    }
  })

  test(`mysql2 works over ${route.name}`, { skip: mariadb.skip || route.skip }, async () => {
    await using way = await relay(route, maria?.port ?? 0)
    const pool = mysql.createPool({
      ...{ user: 'heddle', password: 'weft', database: 'weave', connectionLimit: 4 },
      stream: () => way.stream(),
    })
    try {
      const sums = await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const [rows] = await pool.execute<mysql.RowDataPacket[]>('select ? + 1 as total', [n])
          return Number(rows[0]?.['total'])
        }),
      )
      assert.deepEqual(
        sums,
        Array.from({ length: 200 }, (_, n) => n + 1),
      )
      const [rows] = await pool.query<mysql.RowDataPacket[]>('select ? as bytes', [LARGE])
      assert.ok(LARGE.equals(rows[0]?.['bytes']))
      const [many] = await pool.query<mysql.RowDataPacket[]>('select seq from seq_1_to_50000')
      assert.equal(many.length, 50_000)
      await assert.rejects(pool.query('select nothing from nowhere'), { code: 'ER_NO_SUCH_TABLE' })
    } finally {
      await pool.end()
    }
  })
}

/** What a server sends without being asked comes through as well. */
async function listensAndHears(pool: pg.Pool): Promise<void> {
  const client = await pool.connect()
  try {
    const heard = new Promise((resolve) => client.once('notification', resolve))
    await client.query('listen news')
    await pool.query("notify news, 'hello'")
    assert.equal(((await heard) as pg.Notification).payload, 'hello')
  } finally {
    client.release()
  }
}

test('pg tells that nobody listens behind the relay', { skip: postgres.skip }, async () => {
  const [memory] = DRIVER_ROUTES
  assert.ok(memory)
  await using way = await relay(memory, 1)
  const client = new pg.Client({ user: 'heddle', stream: () => way.stream() as never })
  await assert.rejects(client.connect())
})
