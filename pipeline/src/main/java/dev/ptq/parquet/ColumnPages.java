package dev.ptq.parquet;

import static dev.ptq.parquet.ParquetFile.require;

import io.airlift.compress.Decompressor;
import io.airlift.compress.lz4.Lz4Decompressor;
import io.airlift.compress.snappy.SnappyDecompressor;
import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DataPage;
import org.apache.parquet.column.page.DataPageV1;
import org.apache.parquet.column.page.DataPageV2;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.format.CompressionCodec;
import org.apache.parquet.format.DataPageHeader;
import org.apache.parquet.format.DataPageHeaderV2;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.PageType;
import org.apache.parquet.schema.PrimitiveType;
import org.jspecify.annotations.Nullable;
import shaded.parquet.org.apache.thrift.TException;

/** The pages of one column in one row group, read and decompressed one at a time. */
final class ColumnPages implements PageReader {
    /** Writers make pages of about a mebibyte; only huge values make larger ones. */
    private static final int LARGEST_PAGE = 256 << 20;

    private static final int LARGEST_HEADER = 16 << 20;

    private final InputStream in;
    private final @Nullable CompressionCodec codec;
    private final long values;
    private final long bytes;
    private long seen;
    private @Nullable PageHeader next;

    /** Reads pages from {@code in}, {@code bytes} bytes in all, with {@code values} values including absent ones. */
    ColumnPages(InputStream in, @Nullable CompressionCodec codec, long values, long bytes) {
        this.in = in;
        this.codec = codec;
        this.values = values;
        this.bytes = bytes;
    }

    @Override
    public long getTotalValueCount() {
        return values;
    }

    @Override
    public @Nullable DictionaryPage readDictionaryPage() {
        PageHeader header = header();
        if (header.getType() != PageType.DICTIONARY_PAGE) {
            next = header;
            return null;
        }
        int size = header.getDictionary_page_header().getNum_values();
        require(size >= 0, "a dictionary cannot have " + size + " values");
        return new DictionaryPage(
                BytesInput.from(decompressed(body(header), 0, header.getUncompressed_page_size())),
                size,
                encoding(header.getDictionary_page_header().getEncoding()));
    }

    @Override
    public @Nullable DataPage readPage() {
        while (seen < values) {
            PageHeader header = next == null ? header() : next;
            next = null;
            byte[] body = body(header);
            if (header.getType() == PageType.DATA_PAGE) {
                return first(header, body);
            }
            if (header.getType() == PageType.DATA_PAGE_V2) {
                return second(header, body);
            }
        }
        return null;
    }

    private DataPage first(PageHeader page, byte[] body) {
        DataPageHeader header = page.getData_page_header();
        int size = page.getUncompressed_page_size();
        return new DataPageV1(
                BytesInput.from(decompressed(body, 0, size)),
                counted(header.getNum_values()),
                size,
                noStatistics(),
                encoding(header.getRepetition_level_encoding()),
                encoding(header.getDefinition_level_encoding()),
                encoding(header.getEncoding()));
    }

    /** Reads a version 2 page, whose levels are not compressed. */
    private DataPage second(PageHeader page, byte[] body) {
        DataPageHeaderV2 header = page.getData_page_header_v2();
        int repetition = header.getRepetition_levels_byte_length();
        int definition = header.getDefinition_levels_byte_length();
        int size = page.getUncompressed_page_size();
        require(
                repetition >= 0 && definition >= 0 && (long) repetition + definition <= Math.min(size, body.length),
                "a page cannot have levels of " + repetition + " and " + definition + " bytes");
        int levels = repetition + definition;
        boolean compressed = !header.isSetIs_compressed() || header.isIs_compressed();
        byte[] data =
                compressed ? decompressed(body, levels, size - levels) : Arrays.copyOfRange(body, levels, body.length);
        return DataPageV2.uncompressed(
                header.getNum_rows(),
                header.getNum_nulls(),
                counted(header.getNum_values()),
                BytesInput.from(body, 0, repetition),
                BytesInput.from(body, repetition, definition),
                encoding(header.getEncoding()),
                BytesInput.from(data),
                noStatistics());
    }

    private int counted(int count) {
        require(count >= 0, "a page cannot have " + count + " values");
        seen += count;
        return count;
    }

    private PageHeader header() {
        try {
            PageHeader header = new PageHeader();
            header.read(ParquetFile.protocol(in, Math.min(bytes, LARGEST_HEADER)));
            int size = header.getUncompressed_page_size();
            require(size >= 0 && size <= LARGEST_PAGE, "a page cannot have " + size + " bytes");
            require(header.getCompressed_page_size() >= 0, "a page cannot have a negative number of bytes");
            return header;
        } catch (TException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private byte[] body(PageHeader header) {
        try {
            int size = header.getCompressed_page_size();
            byte[] body = in.readNBytes(size);
            require(body.length == size, "a page of " + size + " bytes ends after " + body.length);
            return body;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private byte[] decompressed(byte[] body, int offset, int size) {
        byte[] page = new byte[size];
        int found = body.length == offset ? 0 : decompress(body, offset, page);
        require(found == size, "a page has " + found + " bytes, its header says " + size);
        return page;
    }

    private int decompress(byte[] body, int offset, byte[] page) {
        if (codec == null) {
            throw new IllegalArgumentException("it is compressed in an unknown way");
        }
        return switch (codec) {
            case UNCOMPRESSED -> {
                int size = body.length - offset;
                System.arraycopy(body, offset, page, 0, Math.min(size, page.length));
                yield size;
            }
            case SNAPPY -> decompress(new SnappyDecompressor(), body, offset, page);
            case ZSTD -> decompress(new ZstdDecompressor(), body, offset, page);
            case LZ4_RAW -> decompress(new Lz4Decompressor(), body, offset, page);
            case GZIP -> unzip(body, offset, page);
            default ->
                throw new IllegalArgumentException("it is compressed with " + codec
                        + "; expected one of [gzip, lz4_raw, snappy, uncompressed, zstd]");
        };
    }

    private static int decompress(Decompressor decompressor, byte[] body, int offset, byte[] page) {
        return decompressor.decompress(body, offset, body.length - offset, page, 0, page.length);
    }

    private static int unzip(byte[] body, int offset, byte[] page) {
        try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(body, offset, body.length - offset))) {
            int size = in.readNBytes(page, 0, page.length);
            return in.read() < 0 ? size : size + 1;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Encoding encoding(org.apache.parquet.format.@Nullable Encoding encoding) {
        if (encoding == null) {
            throw new IllegalArgumentException("a page has an unknown encoding");
        }
        return Encoding.valueOf(encoding.name());
    }

    /** The library requires some, but ignores them when reading. */
    private static Statistics<?> noStatistics() {
        return Statistics.createStats(new PrimitiveType(
                org.apache.parquet.schema.Type.Repetition.REQUIRED, PrimitiveType.PrimitiveTypeName.BOOLEAN, "none"));
    }
}
