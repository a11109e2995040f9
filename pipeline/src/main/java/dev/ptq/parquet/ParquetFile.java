package dev.ptq.parquet;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.io.ColumnIOFactory;
import org.apache.parquet.io.RecordReader;
import org.apache.parquet.schema.MessageType;
import shaded.parquet.org.apache.thrift.TException;
import shaded.parquet.org.apache.thrift.protocol.TCompactProtocol;
import shaded.parquet.org.apache.thrift.protocol.TProtocol;
import shaded.parquet.org.apache.thrift.transport.TIOStreamTransport;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads Parquet files. The library decodes pages and assembles records; finding the pages is done here, because the
 * library's own way needs Hadoop, and so that no size claimed by a file is trusted.
 */
public final class ParquetFile {
    private static final int MAGIC_BYTES = 4;
    private static final int LARGEST_FOOTER = 64 << 20;

    private final FileChannel channel;
    private final FileMetaData footer;
    /** Where the footer begins. */
    private final long end;

    private ParquetFile(FileChannel channel) throws IOException, TException {
        this.channel = channel;
        long size = channel.size();
        String magic = "";
        int length = 0;
        if (size > 3 * MAGIC_BYTES) {
            byte[] last = range(size - 2 * MAGIC_BYTES, size).readNBytes(2 * MAGIC_BYTES);
            length = littleEndian(last);
            magic = new String(last, MAGIC_BYTES, MAGIC_BYTES, StandardCharsets.ISO_8859_1);
        }
        require(!magic.equals("PARE"), "it is encrypted");
        require(magic.equals("PAR1"), "it does not end as such a file does");
        end = size - 2 * MAGIC_BYTES - length;
        require(
                length > 0 && length <= LARGEST_FOOTER && end >= MAGIC_BYTES,
                "its footer cannot have " + length + " bytes");
        footer = new FileMetaData();
        footer.read(protocol(range(end, end + length), length));
    }

    /**
     * Reads the rows, each with all columns or with one of them. Structs become objects, lists and other repeated
     * fields arrays, a map an array of its entries, absent values null; dates and times stay the numbers that the file
     * has for them.
     *
     * @throws IOException naming the file, if it is damaged, has no such column, uses unsupported features, or has rows
     *     that take more than half of the Java machine's memory
     */
    public static List<ObjectNode> read(Path file, Optional<String> column) throws IOException {
        return read(file, column, Runtime.getRuntime().maxMemory() / 2);
    }

    /** The same with a limit on the memory that rows take, in bytes. */
    static List<ObjectNode> read(Path file, Optional<String> column, long mostBytes) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return new ParquetFile(channel).rows(column, new Budget(mostBytes));
        } catch (TException | RuntimeException | StackOverflowError | OutOfMemoryError e) {
            // catches anything the library runs into, since anyone may have made the file
            throw new IOException(file + ": cannot be read as Parquet: " + reason(e), e);
        }
    }

    private List<ObjectNode> rows(Optional<String> column, Budget budget) throws IOException {
        MessageType all = Schema.of(footer.getSchema());
        MessageType schema = column.isPresent() ? only(all, column.get()) : all;
        List<ObjectNode> rows = new ArrayList<>();
        for (RowGroup group : footer.getRow_groups()) {
            RecordReader<ObjectNode> reader = new ColumnIOFactory(String.valueOf(footer.getCreated_by()))
                    .getColumnIO(schema, all)
                    .getRecordReader(new Pages(pages(group), group.getNum_rows()), new RowBuilder(schema, budget));
            for (long row = 0; row < group.getNum_rows(); row++) {
                rows.add(reader.read());
            }
        }
        return rows;
    }

    private static MessageType only(MessageType all, String column) {
        if (!all.containsField(column)) {
            List<String> columns =
                    all.getFields().stream().map(field -> field.getName()).toList();
            throw new IllegalArgumentException("it has no column \"" + column + "\"; it has " + columns);
        }
        return new MessageType(all.getName(), all.getType(column));
    }

    /** The column chunks of a row group, by path. */
    private Map<List<String>, ColumnMetaData> pages(RowGroup group) {
        Map<List<String>, ColumnMetaData> chunks = new HashMap<>();
        for (ColumnChunk chunk : group.getColumns()) {
            require(!chunk.isSetFile_path(), "a column is in another file");
            ColumnMetaData column = chunk.getMeta_data();
            require(column != null && !chunk.isSetCrypto_metadata(), "a column is encrypted");
            chunks.put(column.getPath_in_schema(), column);
        }
        return chunks;
    }

    private ColumnPages open(ColumnMetaData column) {
        long first = column.getData_page_offset();
        long dictionary = column.getDictionary_page_offset();
        long start = dictionary > 0 && dictionary < first ? dictionary : first;
        long size = column.getTotal_compressed_size();
        require(
                start >= MAGIC_BYTES && size >= 0 && size <= end - start,
                "column " + column.getPath_in_schema() + " cannot have " + size + " bytes from " + start + " on");
        return new ColumnPages(range(start, start + size), column.getCodec(), column.getNum_values(), size);
    }

    /** The columns of a row group. */
    private final class Pages implements PageReadStore {
        private final Map<List<String>, ColumnMetaData> chunks;
        private final long rows;

        Pages(Map<List<String>, ColumnMetaData> chunks, long rows) {
            this.chunks = chunks;
            this.rows = rows;
        }

        @Override
        public PageReader getPageReader(ColumnDescriptor descriptor) {
            List<String> path = List.of(descriptor.getPath());
            ColumnMetaData column = chunks.get(path);
            if (column == null) {
                throw new IllegalArgumentException("column " + path + " is missing in a row group");
            }
            require(
                    Schema.primitive(column.getType())
                            == descriptor.getPrimitiveType().getPrimitiveTypeName(),
                    "column " + path + " has two types");
            return open(column);
        }

        @Override
        public long getRowCount() {
            return rows;
        }
    }

    private InputStream range(long from, long to) {
        return FileRange.buffered(channel, from, to);
    }

    /** Reads structures; no text or list in them may claim more bytes or values than there are bytes. */
    static TProtocol protocol(InputStream in, long bytes) throws TException {
        return new TCompactProtocol(new TIOStreamTransport(in), bytes, bytes);
    }

    private static int littleEndian(byte[] bytes) {
        return (bytes[0] & 255) | ((bytes[1] & 255) << 8) | ((bytes[2] & 255) << 16) | (bytes[3] << 24);
    }

    static void require(boolean condition, String otherwise) {
        if (!condition) {
            throw new IllegalArgumentException(otherwise);
        }
    }

    /** The message of the root cause, the most specific one. */
    private static String reason(Throwable thrown) {
        String reason = String.valueOf(thrown.getMessage());
        for (Throwable cause = thrown.getCause(); cause != null; cause = cause.getCause()) {
            reason = cause.getMessage() == null ? reason : cause.getMessage();
        }
        return reason;
    }
}
