import { GrpcError, grpcChannel, grpcClient } from 'heddle/grpc'
import { Library } from './gen/library_pb.ts'

await using channel = grpcChannel(`http://${process.env['LIBRARY'] ?? '127.0.0.1:50051'}`)
const library = grpcClient(Library, channel)

const { title, author } = await library.getBook({ name: 'shelves/1/books/1' })
console.log(`${title} by ${author}`)

for await (const book of library.listBooks({ parent: 'shelves/1' })) console.log(book.title)

try {
  await library.getBook({ name: 'shelves/9/books/9' }, { timeoutMs: 1_000 })
} catch (error) {
  if (error instanceof GrpcError) console.log(error.status, error.grpcMessage)
}
