# frozen_string_literal: true

module Admin
  class RebuildCatalog
    BATCH = 500

    def initialize(source, index)
      @source = source
      @index = index
    end

    # Fills a second index next to the live one and swaps the alias at the end, so that searches never see half of it.
    def run
      fresh = @index.create("catalog_#{Time.now.to_i}")
      @source.each_slice(BATCH) { |articles| fresh.bulk(articles.map { |a| document_for(a) }) }
      @index.switch_alias("catalog", fresh)
    end

    def document_for(article)
      { id: article[:sku], title: article[:title], text: [article[:title], article[:maker], *article[:tags]].join(" ") }
    end
  end
end
