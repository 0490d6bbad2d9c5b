package example;

import java.util.List;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.oauth2.client.AuthorizedClientServiceOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.client.web.client.OAuth2ClientHttpRequestInterceptor;
import org.springframework.web.client.RestClient;

/** Calls the order service with an access token: {@code client [CALLS]}, ten calls a second. */
@SpringBootApplication
public class Client {
    record Orders(String subject, List<String> orders) {}

    /** Gets tokens, and replaces each a minute ahead of its expiry. In a web application Spring Boot has this bean. */
    @Bean
    OAuth2AuthorizedClientManager tokens(ClientRegistrationRepository registrations, OAuth2AuthorizedClientService clients) {
        return new AuthorizedClientServiceOAuth2AuthorizedClientManager(registrations, clients);
    }

    /** Adds the token to each call, and forgets a token that the service rejects. */
    @Bean
    RestClient orderService(RestClient.Builder builder, OAuth2AuthorizedClientManager tokens, OAuth2AuthorizedClientService clients) {
        var interceptor = new OAuth2ClientHttpRequestInterceptor(tokens);
        interceptor.setClientRegistrationIdResolver(request -> "tokend");
        interceptor.setAuthorizationFailureHandler(OAuth2ClientHttpRequestInterceptor.authorizationFailureHandler(clients));
        return builder.baseUrl("http://" + System.getenv("ORDERS_ADDR")).requestInterceptor(interceptor).build();
    }

    @Bean
    CommandLineRunner run(RestClient orderService) {
        return arguments -> {
            for (int calls = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 1; calls > 0; calls--) {
                var response = orderService.get().uri("/orders").retrieve().body(Orders.class);
                System.out.println("the orders of " + response.subject() + ": " + response.orders());
                Thread.sleep(100);
            }
        };
    }

    public static void main(String[] arguments) {
        SpringApplication.run(Client.class, arguments);
    }
}
