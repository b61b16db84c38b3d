import { rpcServer } from 'heddle/connect'
import { GrpcError, grpcReflection, grpcService } from 'heddle/grpc'
import { httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'
import { type Book, Library } from './gen/library_pb.ts'

const books = new Map<string, Pick<Book, 'name' | 'title' | 'author'>>()

function add(parent: string, title: string, author: string) {
  const book = { name: `${parent}/books/${books.size + 1}`, title, author }
  books.set(book.name, book)
  return book
}

add('shelves/1', 'Frankenstein', 'Mary Shelley')
add('shelves/1', 'Middlemarch', 'George Eliot')

const library = grpcService(Library, {
  getBook({ name }) {
    const book = books.get(name)
    if (book === undefined) throw new GrpcError('NOT_FOUND', `no book ${name}`)
    return book
  },
  createBook({ parent, book }) {
    if (!book?.title) throw new GrpcError('INVALID_ARGUMENT', 'a book needs a title')
    return add(parent, book.title, book.author)
  },
  async *listBooks({ parent }) {
    for (const book of books.values()) if (book.name.startsWith(`${parent}/`)) yield book
  },
})

// gRPC, gRPC-Web and Connect, on HTTP/1.1 and HTTP/2, on one port.
const server = httpServer(rpcServer([library, ...grpcReflection([library])]))
await server.listen(tcp(), `tcp://${process.env['LIBRARY'] ?? '127.0.0.1:50051'}`)
console.log('the library is open')
